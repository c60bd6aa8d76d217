// The rules on the VM-entry control fields and the injected event, in words.
#pragma once

#include "hypervisor/vmcs/names/rule_texts/rule_text.hpp"

namespace hvp::vmx::checks {

inline constexpr auto entry_texts = std::to_array<RuleText>({
    {"entry-must-be-1", "The VM-entry controls have a 1 wherever the processor demands one.",
     "Compute the word: (wanted | low half of the capability MSR) & high half. The MSR is "
     "IA32_VMX_TRUE_ENTRY_CTLS (490H) if IA32_VMX_BASIC[55] is 1, else IA32_VMX_ENTRY_CTLS "
     "(484H)."},
    {"entry-must-be-0", "The VM-entry controls have no 1 that this processor does not support.",
     "Do without the control: the high half of IA32_VMX_(TRUE_)ENTRY_CTLS has a 0 there."},
    {"inject-type",
     "An injected event's type (bits 10:8) is not reserved: not 1, and 7 (other event) only where "
     "the processor has \"monitor trap flag\".",
     "0 external interrupt, 2 NMI, 3 hardware exception, 4 software interrupt, 5 privileged "
     "software exception, 6 software exception. If nothing is to be injected, clear bit 31."},
    {"inject-nmi-vector", "An injected NMI has vector 2.", "80000202H injects an NMI."},
    {"inject-exception-vector", "An injected hardware exception has a vector of at most 31.",
     "Vectors from 32 up are interrupts: type 0 (external) or 4 (INT n)."},
    {"inject-other-vector", "An injected \"other event\" has vector 0: a pending MTF VM exit.",
     "80000700H makes an MTF exit pending; type 7 has no other use."},
    {"inject-error-code-due",
     "An injected #DF, #TS, #NP, #SS, #GP, #PF or #AC has the deliver-error-code bit (11), unless "
     "an unrestricted guest is in real mode.",
     "Set bit 11 and write the error code to the VM-entry exception error-code field: the guest's "
     "handler pops it."},
    {"inject-error-code-not-due",
     "An injected event has the deliver-error-code bit (11) only if it is a hardware exception "
     "that pushes one: #DF, #TS, #NP, #SS, #GP, #PF or #AC, and not in real mode.",
     "Clear bit 11: the guest's handler for this vector expects no error code."},
    {"inject-reserved", "Bits 30:12 of an injected event's field are 0.",
     "When an event is taken from the IDT-vectoring or VM-exit interruption information, clear "
     "bit 12 (NMI unblocking, undefined) before it is injected again."},
    {"inject-error-code-reserved", "Bits 31:15 of the error code that is injected are 0.",
     "An error code has 15 bits; what stands here was perhaps never written."},
    {"inject-length",
     "For a software interrupt or exception the VM-entry instruction length is at most 15.",
     "Write the length of the instruction that raised it (INT3 is 1, INT n is 2 bytes long): the "
     "processor adds it to RIP before it pushes it."},
    {"inject-length-0",
     "For a software interrupt or exception the VM-entry instruction length is 0 only if "
     "IA32_VMX_MISC[30] is 1.",
     "Write the length of the instruction (INT3 is 1, INT n is 2 bytes long). For an exception "
     "that no instruction asked for, use type 3, hardware exception."},
    {"entry-msr-load-aligned",
     "With a VM-entry MSR-load count that is not 0, bits 3:0 of the area's address are 0.",
     "Align the area to 16 bytes, the size of an entry; or write a count of 0."},
    {"entry-msr-load-width",
     "With a VM-entry MSR-load count that is not 0, the area's address has no bits beyond the "
     "processor's physical-address width.",
     "Give the area's physical address; or write a count of 0."},
    {"entry-msr-load-end",
     "The last byte of the VM-entry MSR-load area, address + count * 16 - 1, is within the "
     "processor's physical-address width.",
     "Check the count: a field that was never written may hold anything."},
    {"entry-to-smm", "Outside SMM, \"entry to SMM\" is 0.",
     "Clear bit 10; only an SMM-transfer monitor uses it."},
    {"entry-deactivate-dual-monitor", "Outside SMM, \"deactivate dual-monitor treatment\" is 0.",
     "Clear bit 11; only an SMM-transfer monitor uses it."},
    {"entry-smm-not-both",
     "\"Entry to SMM\" and \"deactivate dual-monitor treatment\" are not both 1.",
     "Clear one of bits 10 and 11."},
});

}  // namespace hvp::vmx::checks
