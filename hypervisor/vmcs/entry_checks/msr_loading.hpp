// The rules for the MSRs that VM entry loads from the VM-entry MSR-load area.
// [SDM 3C 26.4 "Loading MSRs"]
#pragma once

#include "hypervisor/vmcs/entry_checks/entry_rule.hpp"
#include "hypervisor/vmcs/entry_checks/guest_registers.hpp"

namespace hvp::vmx::checks {

inline constexpr Citation section_msrs{"3C", "26.4", "Loading MSRs"};

/// One entry of the area.  [SDM 3C 24.7.2 "VM-Exit Controls for MSRs", Table 24-11]
struct MsrEntry {
    std::uint64_t index;     ///< bits 31:0
    std::uint64_t reserved;  ///< bits 63:32
    std::uint64_t data;
};

/// Asks `breaks(x, entry)` about each entry. A damaged count must not keep us for long: what the
/// processor recommends is at most 512 entries.
template <auto breaks>
[[nodiscard]] CheckResult no_entry(VmcsUnderTest& x) {
    constexpr std::uint64_t most = 512;
    const std::uint64_t count = x.raw(entry_msr_load_count);
    for (std::uint64_t i = 0; i < count && i < most && x.missing().empty(); ++i) {
        const std::uint64_t at = x.raw(entry_msr_load_address) + 16 * i;
        const std::uint64_t first = x.memory(at);
        const MsrEntry entry{
            .index = first & bits(31, 0), .reserved = first >> 32, .data = x.memory(at + 8)};
        if (breaks(x, entry)) {
            return broken_if(true);
        }
    }
    return holds;
}

// Named functions, as the same lambda in a template's argument would be another one in each object.
[[nodiscard]] inline bool is_base(VmcsUnderTest&, const MsrEntry& entry) {
    return entry.index == static_cast<std::uint32_t>(Msr::fs_base) ||
           entry.index == static_cast<std::uint32_t>(Msr::gs_base);
}
[[nodiscard]] inline bool is_x2apic(VmcsUnderTest&, const MsrEntry& entry) {
    return entry.index >> 8 == 0x8;
}
[[nodiscard]] inline bool is_for_smm(VmcsUnderTest& x, const MsrEntry& entry) {
    return (entry.index == 0x9B || entry.index == 0x9E) && !x.is(Fact::in_smm);
}
[[nodiscard]] inline bool is_model_specific(VmcsUnderTest&, const MsrEntry& entry) {
    return entry.index == 0x79 || entry.index == 0x8B;
}
[[nodiscard]] inline bool has_reserved_bits(VmcsUnderTest&, const MsrEntry& entry) {
    return entry.reserved != 0;
}

/// Whether WRMSR of this value would raise #GP, for the MSRs whose rules we know.
[[nodiscard]] inline bool write_would_fault(VmcsUnderTest& x, const MsrEntry& entry) {
    switch (static_cast<Msr>(entry.index)) {
        case Msr::efer:
            return (entry.data & efer_reserved) != 0;
        case Msr::pat:
            return wrong_pat_bytes(entry.data) != 0;
        case Msr::debugctl:
            return (entry.data & debugctl_reserved) != 0;
        case Msr::sysenter_esp:
        case Msr::sysenter_eip:
        case Msr::lstar:
        case Msr::cstar:
        case Msr::kernel_gs_base:
            return !x.is_canonical(entry.data);
        case Msr::fmask:
        case Msr::tsc_aux:
            return (entry.data & bits(63, 32)) != 0;
        default:
            return entry.index >= 0x480 && entry.index <= 0x491;  // capabilities are read-only
    }
}

inline constexpr auto msr_rules = std::to_array<EntryRule>({
    {"msr-load-base", &section_msrs, no_entry<is_base>,
     fields(entry_msr_load_address, entry_msr_load_count)},
    {"msr-load-x2apic", &section_msrs, no_entry<is_x2apic>,
     fields(entry_msr_load_address, entry_msr_load_count)},
    {"msr-load-smm", &section_msrs, no_entry<is_for_smm>,
     fields(entry_msr_load_address, entry_msr_load_count)},
    {"msr-load-model-specific", &section_msrs, no_entry<is_model_specific>,
     fields(entry_msr_load_address, entry_msr_load_count)},
    {"msr-load-reserved", &section_msrs, no_entry<has_reserved_bits>,
     fields(entry_msr_load_address, entry_msr_load_count)},
    {"msr-load-value", &section_msrs, no_entry<write_would_fault>,
     fields(entry_msr_load_address, entry_msr_load_count)},
});

}  // namespace hvp::vmx::checks
