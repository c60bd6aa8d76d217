// The rules for the guest's descriptor tables, RIP and RFLAGS.
// [SDM 3C 26.3.1.3 "Checks on Guest Descriptor-Table Registers"],
// [SDM 3C 26.3.1.4 "Checks on Guest RIP and RFLAGS"]
#pragma once

#include "hypervisor/vmcs/entry_checks/entry_controls.hpp"
#include "hypervisor/vmcs/entry_checks/entry_rule.hpp"
#include "hypervisor/vmcs/entry_checks/guest_segments.hpp"

namespace hvp::vmx::checks {

inline constexpr Citation section_tables{"3C", "26.3.1.3",
                                         "Checks on Guest Descriptor-Table Registers"};
inline constexpr Citation section_rip{"3C", "26.3.1.4", "Checks on Guest RIP and RFLAGS"};

inline constexpr auto guest_table_rules = std::to_array<EntryRule>({
    {"guest-{}-base", &section_tables, canonical<is_64_bit_processor, guest_gdtr_base>,
     fields(guest_gdtr_base), "GDTR"},
    {"guest-{}-base", &section_tables, canonical<is_64_bit_processor, guest_idtr_base>,
     fields(guest_idtr_base), "IDTR"},
    {"guest-{}-limit", &section_tables, clear<always, guest_gdtr_limit, bits(31, 16)>,
     fields(guest_gdtr_limit), "GDTR"},
    {"guest-{}-limit", &section_tables, clear<always, guest_idtr_limit, bits(31, 16)>,
     fields(guest_idtr_limit), "IDTR"},
});

// ---- RIP and RFLAGS ---------------------------------------------------------------------------

/// Whether the guest will execute 64-bit code.
[[nodiscard]] inline bool is_64_bit_code(VmcsUnderTest& x) {
    return x.has(EntryControl::ia32e_mode_guest) && rights<Index::cs>(x).long_mode != 0;
}

[[nodiscard]] inline CheckResult rip_32_bits(VmcsUnderTest& x) {
    const bool applies = x.is(Fact::has_intel_64) && !is_64_bit_code(x);
    return applies ? broken_by(x.raw(guest_rip) & bits(63, 32)) : holds;
}
[[nodiscard]] inline CheckResult rip_canonical(VmcsUnderTest& x) {
    const bool applies = x.is(Fact::has_intel_64) && is_64_bit_code(x);
    return broken_if(applies && !x.is_canonical(x.raw(guest_rip)));
}
[[nodiscard]] inline CheckResult no_virtual_8086(VmcsUnderTest& x) {
    if (!virtual_8086(x)) {
        return holds;
    }
    const bool forbidden = x.has(EntryControl::ia32e_mode_guest) ||
                           !x.read(guest_cr0).has(arch::Cr0::protection_enable);
    return broken_by(forbidden ? bit(17) : 0);
}
[[nodiscard]] inline bool interrupts_on(VmcsUnderTest& x) {
    return x.read(guest_rflags).has(arch::Rflags::interrupt_enable);
}

inline constexpr auto guest_rip_rules = std::to_array<EntryRule>({
    {"guest-rip-high", &section_rip, rip_32_bits,
     fields(guest_rip, entry_controls, of(guest_es_rights, Index::cs))},
    {"guest-rip-canonical", &section_rip, rip_canonical, fields(guest_rip)},
    {"guest-rflags-reserved", &section_rip,
     clear<always, guest_rflags, bits(63, 22) | bit(15) | bit(5) | bit(3)>, fields(guest_rflags)},
    {"guest-rflags-bit-1", &section_rip,
     [](VmcsUnderTest& x) { return broken_by(~x.raw(guest_rflags) & bit(1)); },
     fields(guest_rflags)},
    {"guest-rflags-vm", &section_rip, no_virtual_8086,
     fields(guest_rflags, entry_controls, guest_cr0)},
    {"guest-rflags-if", &section_rip,
     [](VmcsUnderTest& x) {
         return broken_by(injects(x, EventType::external_interrupt) && !interrupts_on(x) ? bit(9)
                                                                                         : 0);
     },
     fields(guest_rflags, entry_interruption_information)},
});

}  // namespace hvp::vmx::checks
