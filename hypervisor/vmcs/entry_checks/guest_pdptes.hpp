// The rules for the four entries that PAE paging reads when CR3 is loaded.
// [SDM 3C 26.3.1.6 "Checks on Guest Page-Directory-Pointer-Table Entries"]
#pragma once

#include "hypervisor/vmcs/entry_checks/entry_rule.hpp"

namespace hvp::vmx::checks {

inline constexpr Citation section_pdptes{"3C", "26.3.1.6",
                                         "Checks on Guest Page-Directory-Pointer-Table Entries"};

/// A guest outside IA-32e mode with paging and PAE.
[[nodiscard]] inline bool uses_pae_paging(VmcsUnderTest& x) {
    return !x.has(EntryControl::ia32e_mode_guest) && x.read(guest_cr0).has(arch::Cr0::paging) &&
           x.read(guest_cr4).has(arch::Cr4::physical_address_extension);
}

/// Bits 2:1 and 8:5 of an entry that is present are reserved, and so is what is beyond the width.
/// [SDM 3A 4.4.1 "PDPTE Registers"]
[[nodiscard]] inline CheckResult pdpte_valid(VmcsUnderTest& x, std::uint64_t entry) {
    if ((entry & bit(0)) == 0) {
        return holds;
    }
    return broken_by((entry & (bits(8, 5) | bits(2, 1))) | x.beyond_width(entry));
}

/// Under EPT the entries are fields.
template <auto field>
[[nodiscard]] CheckResult pdpte_of_field(VmcsUnderTest& x) {
    const bool applies = x.has(Secondary::enable_ept) && uses_pae_paging(x);
    return applies ? pdpte_valid(x, x.raw(field)) : holds;
}

/// Else they are in memory, at CR3, which is then aligned to 32 bytes.
template <unsigned number>
[[nodiscard]] CheckResult pdpte_in_memory(VmcsUnderTest& x) {
    if (x.has(Secondary::enable_ept) || !uses_pae_paging(x)) {
        return holds;
    }
    const std::uint64_t at = (x.raw(guest_cr3) & bits(31, 5)) + 8ULL * number;
    return broken_if(pdpte_valid(x, x.memory(at)).broken);
}

#define HVP_PDPTE(NUMBER, FIELD)                                                               \
    {"guest-pdpte{}-field", &section_pdptes, pdpte_of_field<FIELD>, fields(FIELD), #NUMBER}, { \
        "guest-pdpte{}-memory", &section_pdptes, pdpte_in_memory<NUMBER>, fields(guest_cr3),   \
            #NUMBER                                                                            \
    }

inline constexpr auto guest_pdpte_rules = std::to_array<EntryRule>({
    HVP_PDPTE(0, guest_pdpte0),
    HVP_PDPTE(1, guest_pdpte1),
    HVP_PDPTE(2, guest_pdpte2),
    HVP_PDPTE(3, guest_pdpte3),
});

#undef HVP_PDPTE

}  // namespace hvp::vmx::checks
