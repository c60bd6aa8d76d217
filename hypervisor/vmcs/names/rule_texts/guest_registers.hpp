// The rules on the guest's control registers, debug registers and MSRs, in words.
#pragma once

#include "hypervisor/vmcs/names/rule_texts/rule_text.hpp"

namespace hvp::vmx::checks {

inline constexpr auto guest_register_texts = std::to_array<RuleText>({
    {"guest-cr0-fixed-1",
     "The guest CR0 has every bit that IA32_VMX_CR0_FIXED0 demands (PE, NE, PG); an unrestricted "
     "guest may do without PE and PG.",
     "Compute (CR0 | FIXED0) & FIXED1. Most often NE (bit 5) is missing: the guest then keeps it "
     "hidden behind the CR0 guest/host mask and read shadow. For real mode or a guest without "
     "paging, set \"unrestricted guest\" (secondary, bit 7)."},
    {"guest-cr0-fixed-0", "The guest CR0 has no bit that IA32_VMX_CR0_FIXED1 forbids.",
     "Clear bits 63:32 and reserved ones."},
    {"guest-cr0-pg-needs-pe", "The guest CR0 has PG only with PE.",
     "Set PE (bit 0): there is no paging in real mode."},
    {"guest-cr4-fixed-1", "The guest CR4 has every bit that IA32_VMX_CR4_FIXED0 demands (VMXE).",
     "Set VMXE (bit 13), also for a guest that knows nothing of VMX; hide it from the guest by the "
     "CR4 guest/host mask and read shadow."},
    {"guest-cr4-fixed-0", "The guest CR4 has no bit that IA32_VMX_CR4_FIXED1 forbids.",
     "Clear the bit: the processor by which this is judged does not have the feature. Without its "
     "capability MSRs in the dump that is the model, not yours."},
    {"guest-debugctl-reserved",
     "With \"load debug controls\", the guest IA32_DEBUGCTL has no reserved bits.",
     "Write what RDMSR 1D9H says, or 0. Bochs 2.7 does not check this."},
    {"guest-ia32e-needs-pg", "With \"IA-32e mode guest\", the guest CR0 has PG.",
     "Set PG (bit 31), or clear \"IA-32e mode guest\": IA-32e mode is active only with paging."},
    {"guest-ia32e-needs-pae", "With \"IA-32e mode guest\", the guest CR4 has PAE.",
     "Set PAE (bit 5): IA-32e mode is active only with it."},
    {"guest-pcide-needs-ia32e", "Without \"IA-32e mode guest\", the guest CR4 has PCIDE 0.",
     "Set \"IA-32e mode guest\" (VM-entry controls, bit 9) for a 64-bit guest; else clear bit 17."},
    {"guest-cr3-width",
     "The guest CR3 has no bits beyond the processor's physical-address width, and bit 63 is 0.",
     "Write the physical address of the guest's page tables; clear bit 63, which only MOV to CR3 "
     "knows."},
    {"guest-dr7-high", "With \"load debug controls\", bits 63:32 of the guest DR7 are 0.",
     "400H is DR7 after reset."},
    {"guest-sysenter-esp", "The guest IA32_SYSENTER_ESP is a canonical address.",
     "Write what RDMSR 175H says, or 0."},
    {"guest-sysenter-eip", "The guest IA32_SYSENTER_EIP is a canonical address.",
     "Write what RDMSR 176H says, or 0."},
    {"guest-perf-global-ctrl",
     "With the VM-entry control \"load IA32_PERF_GLOBAL_CTRL\", the guest's value has no reserved "
     "bits.",
     "Set only bits of counters that CPUID.0AH reports."},
    {"guest-pat",
     "With the VM-entry control \"load IA32_PAT\", each byte of the guest's value is 0, 1, 4, 5, 6 "
     "or 7.",
     "Write what RDMSR 277H says."},
    {"guest-efer-reserved",
     "With the VM-entry control \"load IA32_EFER\", the guest's value has no reserved bits.",
     "Only SCE (0), LME (8), LMA (10) and NXE (11) exist."},
    {"guest-efer-lma",
     "With the VM-entry control \"load IA32_EFER\", LMA of the guest's value equals \"IA-32e mode "
     "guest\".",
     "For a 64-bit guest set both; for a 32-bit or real-mode guest clear both. A guest that "
     "switches "
     "mode while it runs needs both changed at that exit."},
    {"guest-efer-lme",
     "With the VM-entry control \"load IA32_EFER\" and the guest's CR0.PG, LMA and LME of the "
     "guest's value are equal.",
     "With paging on, LME says what LMA must be: set or clear both."},
    {"guest-bndcfgs-reserved",
     "With the VM-entry control \"load IA32_BNDCFGS\", bits 11:2 of the guest's value are 0.",
     "Bits 1:0 enable and preserve; the bound directory's address begins at bit 12."},
    {"guest-bndcfgs-canonical",
     "With the VM-entry control \"load IA32_BNDCFGS\", the address in bits 63:12 of the guest's "
     "value is canonical.",
     "Write the bound directory's linear address."},
    {"guest-cet-needs-wp", "The guest CR4 has CET only if CR0 has WP.",
     "Set CR0.WP, or clear CR4.CET."},
    {"guest-s-cet",
     "With the VM-entry control \"load CET state\", the guest's IA32_S_CET has no reserved bits "
     "and "
     "a canonical address in bits 63:12.",
     "Write what RDMSR 6A2H says."},
    {"guest-ssp",
     "With the VM-entry control \"load CET state\", the guest's SSP is canonical and bits 1:0 are "
     "0.",
     "Write the top of a shadow stack, aligned to 4 bytes."},
    {"guest-interrupt-ssp-table",
     "With the VM-entry control \"load CET state\", the guest's IA32_INTERRUPT_SSP_TABLE_ADDR is "
     "canonical.",
     "Write what RDMSR 6A8H says."},
    {"guest-pkrs",
     "With the VM-entry control \"load PKRS\", bits 63:32 of the guest's IA32_PKRS are 0.",
     "The register has 32 bits."},
});

}  // namespace hvp::vmx::checks
