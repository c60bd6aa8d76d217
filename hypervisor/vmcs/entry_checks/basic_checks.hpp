// The first checks: may VM entry be executed here and now at all?
// [SDM 3C 26.1 "Basic VM-Entry Checks"]
#pragma once

#include "hypervisor/vmcs/entry_checks/entry_rule.hpp"

namespace hvp::vmx::checks {

inline constexpr Citation section_basic{"3C", "26.1", "Basic VM-Entry Checks"};

inline constexpr auto basic_rules = std::to_array<EntryRule>({
    {"basic-mode", &section_basic,
     "VM entry is not executed in virtual-8086 mode or compatibility mode: it raises #UD there.",
     "Execute it from 64-bit code (or from 32-bit code outside IA-32e mode).",
     [](VmcsUnderTest& x) { return broken_if(x.is(Fact::outside_64_bit_mode)); },
     about(Fact::outside_64_bit_mode)},
    {"basic-cpl", &section_basic, "VM entry is executed at CPL 0: elsewhere it raises #GP(0).",
     "Execute it in the kernel; a user program asks its driver to.",
     [](VmcsUnderTest& x) { return broken_if(x.raw(item(Fact::privilege_level)) != 0); },
     about(Fact::privilege_level)},
    {"basic-current-vmcs", &section_basic,
     "A VMCS is current on this processor: without one the instruction sets CF (VMfailInvalid).",
     "VMPTRLD the VMCS on this very processor, after VMXON, and look at the flags that VMPTRLD "
     "leaves. A thread that was moved to another processor in between has no current VMCS there.",
     [](VmcsUnderTest& x) { return broken_if(!x.is(Fact::has_current_vmcs)); },
     about(Fact::has_current_vmcs)},
    {"basic-not-shadow", &section_basic,
     "The current VMCS is not a shadow VMCS: with one the instruction sets CF (VMfailInvalid).",
     "Clear bit 31 of the VMCS region's first word before VMCLEAR and VMPTRLD; it marks a VMCS "
     "that only VMREAD and VMWRITE of a guest may use.",
     [](VmcsUnderTest& x) {
         return broken_if(x.is(Fact::has_current_vmcs) && x.is(Fact::current_vmcs_is_shadow));
     },
     about(Fact::current_vmcs_is_shadow)},
    {"basic-mov-ss", &section_basic,
     "Events are not blocked by MOV SS when VM entry is executed (VM-instruction error 26).",
     "Put an instruction between MOV SS or POP SS and VMLAUNCH or VMRESUME.",
     [](VmcsUnderTest& x) { return broken_if(x.is(Fact::blocking_by_mov_ss)); },
     about(Fact::blocking_by_mov_ss, vm_instruction_error)},
    {"basic-vmlaunch-clear", &section_basic,
     "VMLAUNCH finds a VMCS whose launch state is clear (VM-instruction error 4).",
     "VMLAUNCH is for the first entry after VMCLEAR; each later one is a VMRESUME. To start over, "
     "VMCLEAR and VMPTRLD the VMCS again.",
     [](VmcsUnderTest& x) {
         return broken_if(!x.is(Fact::by_vmresume) && x.is(Fact::is_launched));
     },
     about(Fact::is_launched, vm_instruction_error)},
    {"basic-vmresume-launched", &section_basic,
     "VMRESUME finds a VMCS whose launch state is launched (VM-instruction error 5).",
     "The first entry after VMCLEAR is a VMLAUNCH. VMCLEAR makes the launch state clear again, "
     "and a VMCS that moves to another processor needs VMCLEAR on the old one.",
     [](VmcsUnderTest& x) {
         return broken_if(x.is(Fact::by_vmresume) && !x.is(Fact::is_launched));
     },
     about(Fact::is_launched, vm_instruction_error)},
});

}  // namespace hvp::vmx::checks
