// The rules on the MSRs that VM entry loads, in words.
#pragma once

#include "hypervisor/vmcs/names/rule_texts/rule_text.hpp"

namespace hvp::vmx::checks {

inline constexpr auto msr_texts = std::to_array<RuleText>({
    {"msr-load-base",
     "The VM-entry MSR-load area has no entry for IA32_FS_BASE (C0000100H) or IA32_GS_BASE "
     "(C0000101H).",
     "Take the entry out: both are fields of the guest-state area (guest FS base, guest GS base)."},
    {"msr-load-x2apic",
     "The VM-entry MSR-load area has no entry for MSRs 800H to 8FFH, the local APIC's.",
     "Take the entry out."},
    {"msr-load-smm",
     "Outside SMM, the VM-entry MSR-load area has no entry for an MSR that only SMM may write "
     "(IA32_SMM_MONITOR_CTL, 9BH; IA32_SMBASE, 9EH).",
     "Take the entry out."},
    {"msr-load-model-specific",
     "The VM-entry MSR-load area has no entry for an MSR that VM entry cannot load for "
     "model-specific reasons (IA32_BIOS_UPDT_TRIG, 79H, and IA32_BIOS_SIGN_ID, 8BH).",
     "Take the entry out; microcode cannot be loaded by a VM entry."},
    {"msr-load-reserved", "Bits 63:32 of each entry in the VM-entry MSR-load area are 0.",
     "An entry is 16 bytes: the index in 4, 4 that are 0, the value in 8."},
    {"msr-load-value",
     "Each value in the VM-entry MSR-load area is one that WRMSR would take at CPL 0.",
     "The exit qualification is the number of the entry that failed, from 1."},
});

}  // namespace hvp::vmx::checks
