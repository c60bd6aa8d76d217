// The rules on the host-state area, in words.
#pragma once

#include "hypervisor/vmcs/names/rule_texts/rule_text.hpp"

namespace hvp::vmx::checks {

inline constexpr auto host_texts = std::to_array<RuleText>({
    {"host-cr0-fixed-1",
     "The host CR0 has every bit that IA32_VMX_CR0_FIXED0 demands (PE, NE, PG).",
     "Write the CR0 that the processor has in VMX operation: read it after VMXON, or compute "
     "(CR0 | FIXED0) & FIXED1."},
    {"host-cr0-fixed-0", "The host CR0 has no bit that IA32_VMX_CR0_FIXED1 forbids.",
     "Write the CR0 that the processor has in VMX operation."},
    {"host-cr4-fixed-1", "The host CR4 has every bit that IA32_VMX_CR4_FIXED0 demands (VMXE).",
     "Read CR4 after CR4.VMXE has been set: a value from before lacks bit 13, and a VM exit would "
     "end VMX operation."},
    {"host-cr4-fixed-0", "The host CR4 has no bit that IA32_VMX_CR4_FIXED1 forbids.",
     "Write the CR4 that the processor has in VMX operation."},
    {"host-cr3-width",
     "The host CR3 has no bits beyond the processor's physical-address width, and bit 63 is 0.",
     "Write the physical address of the page tables; clear bit 63, which only MOV to CR3 knows."},
    {"host-sysenter-esp", "The host IA32_SYSENTER_ESP is a canonical address.",
     "Write what RDMSR 175H says, or 0."},
    {"host-sysenter-eip", "The host IA32_SYSENTER_EIP is a canonical address.",
     "Write what RDMSR 176H says, or 0."},
    {"host-perf-global-ctrl",
     "With the VM-exit control \"load IA32_PERF_GLOBAL_CTRL\", the host's value has no reserved "
     "bits.",
     "Set only bits of counters that CPUID.0AH reports."},
    {"host-pat",
     "With the VM-exit control \"load IA32_PAT\", each byte of the host's value is 0, 1, 4, 5, 6 "
     "or 7.",
     "Write what RDMSR 277H says. A field that was never written is often 0: that makes all memory "
     "uncacheable, but is no broken rule."},
    {"host-efer-reserved",
     "With the VM-exit control \"load IA32_EFER\", the host's value has no reserved bits.",
     "Only SCE (0), LME (8), LMA (10) and NXE (11) exist."},
    {"host-efer-mode",
     "With the VM-exit control \"load IA32_EFER\", LMA and LME of the host's value each equal "
     "\"host address-space size\".",
     "For a 64-bit VMM both are 1: write what RDMSR C0000080H says."},
    {"host-cet-needs-wp", "The host CR4 has CET only if CR0 has WP.",
     "Set CR0.WP: a shadow stack that anyone in the kernel may write protects nothing."},
    {"host-s-cet",
     "With the VM-exit control \"load CET state\", the host's IA32_S_CET has no reserved bits and "
     "a canonical address in bits 63:12.",
     "Write what RDMSR 6A2H says."},
    {"host-ssp",
     "With the VM-exit control \"load CET state\", the host's SSP is canonical and bits 1:0 are 0.",
     "Write the top of a shadow stack, aligned to 4 bytes."},
    {"host-interrupt-ssp-table",
     "With the VM-exit control \"load CET state\", the host's IA32_INTERRUPT_SSP_TABLE_ADDR is "
     "canonical.",
     "Write what RDMSR 6A8H says."},
    {"host-pkrs",
     "With the VM-exit control \"load PKRS\", bits 63:32 of the host's IA32_PKRS are 0.",
     "The register has 32 bits."},
});

/// For each of the seven selectors.
inline constexpr auto host_selector_texts = std::to_array<RuleText>({
    {"host-{}-rpl-ti", "RPL (bits 1:0) and TI (bit 2) of the host {} selector are 0.",
     "Write the selector & ~7. Windows keeps user selectors such as 2BH in the kernel's "
     "DS and ES; a VM exit loads all of them for CPL 0 from the GDT."},
});

inline constexpr auto other_host_segment_texts = std::to_array<RuleText>({
    {"host-cs-not-null", "The host CS selector is not 0000H.",
     "Write the kernel's code segment (10H under Windows)."},
    {"host-tr-not-null", "The host TR selector is not 0000H.",
     "A VMM must have a TSS: write what STR says (40H under Windows), or make one of your own. "
     "Under UEFI TR is often 0: a TSS has to be made there."},
    {"host-ss-not-null", "The host SS selector is not 0000H if \"host address-space size\" is 0.",
     "Write the kernel's stack segment; only a 64-bit VMM may have a null SS."},
    {"host-{}-base", "The host {} base is a canonical address.",
     "Write what RDMSR C0000100H says."},
    {"host-{}-base", "The host {} base is a canonical address.",
     "Write what RDMSR C0000101H says."},
    {"host-{}-base", "The host {} base is a canonical address.",
     "Put all four parts of the TSS descriptor together: in 64-bit mode it has 16 "
     "bytes, and bits 63:32 of the base are in its third doubleword."},
    {"host-{}-base", "The host {} base is a canonical address.",
     "Write what SGDT stores behind the limit, 8 bytes."},
    {"host-{}-base", "The host {} base is a canonical address.",
     "Write what SIDT stores behind the limit, 8 bytes."},
});

inline constexpr auto host_segment_texts =
    joined(repeated<7>(host_selector_texts), other_host_segment_texts);

inline constexpr auto size_texts = std::to_array<RuleText>({
    {"size-32-bit-guest", "Outside IA-32e mode, VM entry has \"IA-32e mode guest\" 0.",
     "Switch the processor to IA-32e mode first; a 32-bit VMM cannot have a 64-bit guest."},
    {"size-32-bit-host", "Outside IA-32e mode, VM entry has \"host address-space size\" 0.",
     "Clear bit 9 of the VM-exit controls: the host must be what it is now."},
    {"size-64-bit-host", "In IA-32e mode, VM entry has \"host address-space size\" 1.",
     "Set bit 9 of the VM-exit controls: a VM exit must come back to 64-bit code."},
    {"size-host-32-guest-64", "With \"host address-space size\" 0, \"IA-32e mode guest\" is 0.",
     "Set \"host address-space size\", if the VMM is 64-bit code."},
    {"size-host-32-pcide", "With \"host address-space size\" 0, the host CR4 has PCIDE 0.",
     "Process-context identifiers exist in IA-32e mode only."},
    {"size-host-32-rip", "With \"host address-space size\" 0, bits 63:32 of the host RIP are 0.",
     "Set \"host address-space size\", if the VMM is 64-bit code."},
    {"size-host-64-pae", "With \"host address-space size\" 1, the host CR4 has PAE 1.",
     "Write the CR4 that the processor has; in IA-32e mode PAE is always set."},
    {"size-host-64-rip", "With \"host address-space size\" 1, the host RIP is a canonical address.",
     "Write the linear address of the code that handles VM exits."},
    {"size-no-64-bit-guest", "Without Intel 64, \"IA-32e mode guest\" is 0.",
     "Clear bit 9 of the VM-entry controls."},
    {"size-no-64-bit-host", "Without Intel 64, \"host address-space size\" is 0.",
     "Clear bit 9 of the VM-exit controls."},
});

}  // namespace hvp::vmx::checks
