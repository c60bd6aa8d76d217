// The rules that are checked first, in words.
#pragma once

#include "hypervisor/vmcs/names/rule_texts/rule_text.hpp"

namespace hvp::vmx::checks {

inline constexpr auto basic_texts = std::to_array<RuleText>({
    {"basic-mode",
     "VM entry is not executed in virtual-8086 mode or compatibility mode: it raises #UD there.",
     "Execute it from 64-bit code (or from 32-bit code outside IA-32e mode)."},
    {"basic-cpl", "VM entry is executed at CPL 0: elsewhere it raises #GP(0).",
     "Execute it in the kernel; a user program asks its driver to."},
    {"basic-current-vmcs",
     "A VMCS is current on this processor: without one the instruction sets CF (VMfailInvalid).",
     "VMPTRLD the VMCS on this very processor, after VMXON, and look at the flags that VMPTRLD "
     "leaves. A thread that was moved to another processor in between has no current VMCS there."},
    {"basic-not-shadow",
     "The current VMCS is not a shadow VMCS: with one the instruction sets CF (VMfailInvalid).",
     "Clear bit 31 of the VMCS region's first word before VMCLEAR and VMPTRLD; it marks a VMCS "
     "that only VMREAD and VMWRITE of a guest may use."},
    {"basic-mov-ss",
     "Events are not blocked by MOV SS when VM entry is executed (VM-instruction error 26).",
     "Put an instruction between MOV SS or POP SS and VMLAUNCH or VMRESUME."},
    {"basic-vmlaunch-clear",
     "VMLAUNCH finds a VMCS whose launch state is clear (VM-instruction error 4).",
     "VMLAUNCH is for the first entry after VMCLEAR; each later one is a VMRESUME. To start over, "
     "VMCLEAR and VMPTRLD the VMCS again."},
    {"basic-vmresume-launched",
     "VMRESUME finds a VMCS whose launch state is launched (VM-instruction error 5).",
     "The first entry after VMCLEAR is a VMLAUNCH. VMCLEAR makes the launch state clear again, "
     "and a VMCS that moves to another processor needs VMCLEAR on the old one."},
});

}  // namespace hvp::vmx::checks
