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
    {"guest-{}-base", &section_tables, "The guest {} base is a canonical address.",
     "Write what SGDT stores behind the limit, 8 bytes.",
     canonical<is_64_bit_processor, guest_gdtr_base>, about(guest_gdtr_base), "GDTR"},
    {"guest-{}-base", &section_tables, "The guest {} base is a canonical address.",
     "Write what SIDT stores behind the limit, 8 bytes.",
     canonical<is_64_bit_processor, guest_idtr_base>, about(guest_idtr_base), "IDTR"},
    {"guest-{}-limit", &section_tables, "Bits 31:16 of the guest {} limit are 0.",
     "SGDT stores the limit in its first 2 bytes, and the base behind them; do not read 4.",
     clear<always, guest_gdtr_limit, bits(31, 16)>, about(guest_gdtr_limit), "GDTR"},
    {"guest-{}-limit", &section_tables, "Bits 31:16 of the guest {} limit are 0.",
     "SIDT stores the limit in its first 2 bytes, and the base behind them; do not read 4.",
     clear<always, guest_idtr_limit, bits(31, 16)>, about(guest_idtr_limit), "IDTR"},
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
    {"guest-rip-high", &section_rip,
     "Bits 63:32 of the guest RIP are 0, unless \"IA-32e mode guest\" and L (bit 13) of the guest "
     "CS access rights are 1.",
     "For 64-bit code set both: CS rights A09BH or 209BH, VM-entry control bit 9. A 64-bit kernel "
     "with L = 0 in CS is the usual cause.",
     rip_32_bits, about(guest_rip, entry_controls, of(guest_es_rights, Index::cs))},
    {"guest-rip-canonical", &section_rip,
     "For 64-bit code, bits 63:N of the guest RIP are identical, where N is the number of linear-"
     "address bits.",
     "Write a linear address, 8 bytes. (One past the highest canonical address is not refused by "
     "Bochs 2.7.)",
     rip_canonical, about(guest_rip)},
    {"guest-rflags-reserved", &section_rip, "Bits 63:22, 15, 5 and 3 of the guest RFLAGS are 0.",
     "Write what PUSHFQ stores.",
     clear<always, guest_rflags, bits(63, 22) | bit(15) | bit(5) | bit(3)>, about(guest_rflags)},
    {"guest-rflags-bit-1", &section_rip, "Bit 1 of the guest RFLAGS is 1.",
     "The smallest value of RFLAGS is 2; a field that was never written is 0.",
     [](VmcsUnderTest& x) { return broken_by(~x.raw(guest_rflags) & bit(1)); },
     about(guest_rflags)},
    {"guest-rflags-vm", &section_rip,
     "VM (bit 17) of the guest RFLAGS is 0 for an IA-32e mode guest and in real mode (CR0.PE = 0).",
     "Virtual-8086 mode is a part of 32-bit protected mode.", no_virtual_8086,
     about(guest_rflags, entry_controls, guest_cr0)},
    {"guest-rflags-if", &section_rip,
     "IF (bit 9) of the guest RFLAGS is 1 if an external interrupt is injected.",
     "Wait until the guest can take it: set \"interrupt-window exiting\", and inject at that exit.",
     [](VmcsUnderTest& x) {
         return broken_by(injects(x, EventType::external_interrupt) && !interrupts_on(x) ? bit(9)
                                                                                         : 0);
     },
     about(guest_rflags, entry_interruption_information)},
});

}  // namespace hvp::vmx::checks
