// The rules for the VM-exit control fields.  [SDM 3C 26.2.1.2 "VM-Exit Control Fields"]
#pragma once

#include "hypervisor/vmcs/entry_checks/entry_rule.hpp"

namespace hvp::vmx::checks {

inline constexpr Citation section_exit{"3C", "26.2.1.2", "VM-Exit Control Fields"};

inline constexpr auto exit_rules = std::to_array<EntryRule>({
    {"exit-must-be-1", &section_exit,
     "The VM-exit controls have a 1 wherever the processor demands one.",
     "Compute the word: (wanted | low half of the capability MSR) & high half. The MSR is "
     "IA32_VMX_TRUE_EXIT_CTLS (48FH) if IA32_VMX_BASIC[55] is 1, else IA32_VMX_EXIT_CTLS (483H).",
     ones_as_demanded<exit_controls, Msr::vmx_exit_ctls, Msr::vmx_true_exit_ctls>,
     about(exit_controls, Msr::vmx_true_exit_ctls)},
    {"exit-must-be-0", &section_exit,
     "The VM-exit controls have no 1 that this processor does not support.",
     "Do without the control: the high half of IA32_VMX_(TRUE_)EXIT_CTLS has a 0 there.",
     no_others<exit_controls, Msr::vmx_exit_ctls, Msr::vmx_true_exit_ctls>,
     about(exit_controls, Msr::vmx_true_exit_ctls)},
    {"exit-save-timer-needs-timer", &section_exit,
     "\"Save VMX-preemption timer value\" is 1 only with \"activate VMX-preemption timer\".",
     "Clear bit 22 of the VM-exit controls, or set bit 6 of the pin-based ones.",
     needs<ExitControl::save_preemption_timer_value, Pin::activate_preemption_timer>,
     about(exit_controls, pin_based_controls)},
    {"exit-msr-store-aligned", &section_exit,
     "With a VM-exit MSR-store count that is not 0, bits 3:0 of the area's address are 0.",
     "Align the area to 16 bytes, the size of an entry; or write a count of 0.",
     clear<has_entries<exit_msr_store_count>, exit_msr_store_address, bits(3, 0)>,
     about(exit_msr_store_address, exit_msr_store_count)},
    {"exit-msr-store-width", &section_exit,
     "With a VM-exit MSR-store count that is not 0, the area's address has no bits beyond the "
     "processor's physical-address width.",
     "Give the area's physical address; or write a count of 0.",
     within_width<has_entries<exit_msr_store_count>, exit_msr_store_address>,
     about(exit_msr_store_address, exit_msr_store_count)},
    {"exit-msr-store-end", &section_exit,
     "The last byte of the VM-exit MSR-store area, address + count * 16 - 1, is within the "
     "processor's physical-address width.",
     "Check the count: a field that was never written may hold anything.",
     last_byte_within_width<exit_msr_store_count, exit_msr_store_address>,
     about(exit_msr_store_count, exit_msr_store_address)},
    {"exit-msr-load-aligned", &section_exit,
     "With a VM-exit MSR-load count that is not 0, bits 3:0 of the area's address are 0.",
     "Align the area to 16 bytes, the size of an entry; or write a count of 0.",
     clear<has_entries<exit_msr_load_count>, exit_msr_load_address, bits(3, 0)>,
     about(exit_msr_load_address, exit_msr_load_count)},
    {"exit-msr-load-width", &section_exit,
     "With a VM-exit MSR-load count that is not 0, the area's address has no bits beyond the "
     "processor's physical-address width.",
     "Give the area's physical address; or write a count of 0.",
     within_width<has_entries<exit_msr_load_count>, exit_msr_load_address>,
     about(exit_msr_load_address, exit_msr_load_count)},
    {"exit-msr-load-end", &section_exit,
     "The last byte of the VM-exit MSR-load area, address + count * 16 - 1, is within the "
     "processor's physical-address width.",
     "Check the count: a field that was never written may hold anything.",
     last_byte_within_width<exit_msr_load_count, exit_msr_load_address>,
     about(exit_msr_load_count, exit_msr_load_address)},
});

}  // namespace hvp::vmx::checks
