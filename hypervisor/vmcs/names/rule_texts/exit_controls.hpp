// The rules on the VM-exit control fields, in words.
#pragma once

#include "hypervisor/vmcs/names/rule_texts/rule_text.hpp"

namespace hvp::vmx::checks {

inline constexpr auto exit_texts = std::to_array<RuleText>({
    {"exit-must-be-1", "The VM-exit controls have a 1 wherever the processor demands one.",
     "Compute the word: (wanted | low half of the capability MSR) & high half. The MSR is "
     "IA32_VMX_TRUE_EXIT_CTLS (48FH) if IA32_VMX_BASIC[55] is 1, else IA32_VMX_EXIT_CTLS (483H)."},
    {"exit-must-be-0", "The VM-exit controls have no 1 that this processor does not support.",
     "Do without the control: the high half of IA32_VMX_(TRUE_)EXIT_CTLS has a 0 there."},
    {"exit-save-timer-needs-timer",
     "\"Save VMX-preemption timer value\" is 1 only with \"activate VMX-preemption timer\".",
     "Clear bit 22 of the VM-exit controls, or set bit 6 of the pin-based ones."},
    {"exit-msr-store-aligned",
     "With a VM-exit MSR-store count that is not 0, bits 3:0 of the area's address are 0.",
     "Align the area to 16 bytes, the size of an entry; or write a count of 0."},
    {"exit-msr-store-width",
     "With a VM-exit MSR-store count that is not 0, the area's address has no bits beyond the "
     "processor's physical-address width.",
     "Give the area's physical address; or write a count of 0."},
    {"exit-msr-store-end",
     "The last byte of the VM-exit MSR-store area, address + count * 16 - 1, is within the "
     "processor's physical-address width.",
     "Check the count: a field that was never written may hold anything."},
    {"exit-msr-load-aligned",
     "With a VM-exit MSR-load count that is not 0, bits 3:0 of the area's address are 0.",
     "Align the area to 16 bytes, the size of an entry; or write a count of 0."},
    {"exit-msr-load-width",
     "With a VM-exit MSR-load count that is not 0, the area's address has no bits beyond the "
     "processor's physical-address width.",
     "Give the area's physical address; or write a count of 0."},
    {"exit-msr-load-end",
     "The last byte of the VM-exit MSR-load area, address + count * 16 - 1, is within the "
     "processor's physical-address width.",
     "Check the count: a field that was never written may hold anything."},
});

}  // namespace hvp::vmx::checks
