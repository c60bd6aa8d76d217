// The rules for the host-state area: what the processor will load at the next VM exit.
// [SDM 3C 26.2.2 "Checks on Host Control Registers and MSRs"],
// [SDM 3C 26.2.3 "Checks on Host Segment and Descriptor-Table Registers"],
// [SDM 3C 26.2.4 "Checks Related to Address-Space Size"]
#pragma once

#include "hypervisor/vmcs/entry_checks/shared_checks.hpp"

namespace hvp::vmx::checks {

inline constexpr Citation section_host{"3C", "26.2.2", "Checks on Host Control Registers and MSRs"};
inline constexpr Citation section_host_segments{
    "3C", "26.2.3", "Checks on Host Segment and Descriptor-Table Registers"};
inline constexpr Citation section_size{"3C", "26.2.4", "Checks Related to Address-Space Size"};

inline constexpr auto host_rules = std::to_array<EntryRule>({
    {"host-cr0-fixed-1", &section_host,
     "The host CR0 has every bit that IA32_VMX_CR0_FIXED0 demands (PE, NE, PG).",
     "Write the CR0 that the processor has in VMX operation: read it after VMXON, or compute "
     "(CR0 | FIXED0) & FIXED1.",
     fixed_to_1<host_cr0, Msr::vmx_cr0_fixed0, cr0_unchecked>,
     about(host_cr0, Msr::vmx_cr0_fixed0)},
    {"host-cr0-fixed-0", &section_host, "The host CR0 has no bit that IA32_VMX_CR0_FIXED1 forbids.",
     "Write the CR0 that the processor has in VMX operation.",
     fixed_to_0<host_cr0, Msr::vmx_cr0_fixed1, cr0_unchecked>,
     about(host_cr0, Msr::vmx_cr0_fixed1)},
    {"host-cr4-fixed-1", &section_host,
     "The host CR4 has every bit that IA32_VMX_CR4_FIXED0 demands (VMXE).",
     "Read CR4 after CR4.VMXE has been set: a value from before lacks bit 13, and a VM exit would "
     "end VMX operation.",
     fixed_to_1<host_cr4, Msr::vmx_cr4_fixed0, 0>, about(host_cr4, Msr::vmx_cr4_fixed0)},
    {"host-cr4-fixed-0", &section_host, "The host CR4 has no bit that IA32_VMX_CR4_FIXED1 forbids.",
     "Write the CR4 that the processor has in VMX operation.",
     fixed_to_0<host_cr4, Msr::vmx_cr4_fixed1, 0>, about(host_cr4, Msr::vmx_cr4_fixed1)},
    {"host-cr3-width", &section_host,
     "The host CR3 has no bits beyond the processor's physical-address width, and bit 63 is 0.",
     "Write the physical address of the page tables; clear bit 63, which only MOV to CR3 knows.",
     cr3_within_width<host_cr3>, about(host_cr3)},
    {"host-sysenter-esp", &section_host, "The host IA32_SYSENTER_ESP is a canonical address.",
     "Write what RDMSR 175H says, or 0.", canonical<is_64_bit_processor, host_sysenter_esp>,
     about(host_sysenter_esp)},
    {"host-sysenter-eip", &section_host, "The host IA32_SYSENTER_EIP is a canonical address.",
     "Write what RDMSR 176H says, or 0.", canonical<is_64_bit_processor, host_sysenter_eip>,
     about(host_sysenter_eip)},
    {"host-perf-global-ctrl", &section_host,
     "With the VM-exit control \"load IA32_PERF_GLOBAL_CTRL\", the host's value has no reserved "
     "bits.",
     "Set only bits of counters that CPUID.0AH reports.",
     perf_global_ctrl_reserved<ExitControl::load_perf_global_ctrl, host_perf_global_ctrl>,
     about(host_perf_global_ctrl, exit_controls)},
    {"host-pat", &section_host,
     "With the VM-exit control \"load IA32_PAT\", each byte of the host's value is 0, 1, 4, 5, 6 "
     "or 7.",
     "Write what RDMSR 277H says. A field that was never written is often 0: that makes all memory "
     "uncacheable, but is no broken rule.",
     pat_types<ExitControl::load_pat, host_pat>, about(host_pat, exit_controls)},
    {"host-efer-reserved", &section_host,
     "With the VM-exit control \"load IA32_EFER\", the host's value has no reserved bits.",
     "Only SCE (0), LME (8), LMA (10) and NXE (11) exist.",
     clear<on<ExitControl::load_efer>, host_efer, efer_reserved>, about(host_efer, exit_controls)},
    {"host-efer-mode", &section_host,
     "With the VM-exit control \"load IA32_EFER\", LMA and LME of the host's value each equal "
     "\"host address-space size\".",
     "For a 64-bit VMM both are 1: write what RDMSR C0000080H says.",
     [](VmcsUnderTest& x) {
         if (!x.has(ExitControl::load_efer)) {
             return holds;
         }
         const bool wide = x.has(ExitControl::host_address_space_size);
         const std::uint64_t wanted = wide ? bit(10) | bit(8) : 0;
         return broken_by((x.raw(host_efer) & (bit(10) | bit(8))) ^ wanted);
     },
     about(host_efer, exit_controls)},
    {"host-cet-needs-wp", &section_host, "The host CR4 has CET only if CR0 has WP.",
     "Set CR0.WP: a shadow stack that anyone in the kernel may write protects nothing.",
     cet_needs_wp<host_cr0, host_cr4>, about(host_cr4, host_cr0), "", true},
    {"host-s-cet", &section_host,
     "With the VM-exit control \"load CET state\", the host's IA32_S_CET has no reserved bits and "
     "a canonical address in bits 63:12.",
     "Write what RDMSR 6A2H says.", s_cet_valid<ExitControl::load_cet_state, host_s_cet>,
     about(host_s_cet, exit_controls), "", true},
    {"host-ssp", &section_host,
     "With the VM-exit control \"load CET state\", the host's SSP is canonical and bits 1:0 are 0.",
     "Write the top of a shadow stack, aligned to 4 bytes.",
     ssp_valid<ExitControl::load_cet_state, host_ssp>, about(host_ssp, exit_controls), "", true},
    {"host-interrupt-ssp-table", &section_host,
     "With the VM-exit control \"load CET state\", the host's IA32_INTERRUPT_SSP_TABLE_ADDR is "
     "canonical.",
     "Write what RDMSR 6A8H says.",
     canonical<on<ExitControl::load_cet_state>, host_interrupt_ssp_table>,
     about(host_interrupt_ssp_table, exit_controls), "", true},
    {"host-pkrs", &section_host,
     "With the VM-exit control \"load PKRS\", bits 63:32 of the host's IA32_PKRS are 0.",
     "The register has 32 bits.", clear<on<ExitControl::load_pkrs>, host_pkrs, bits(63, 32)>,
     about(host_pkrs, exit_controls), "", true},
});

/// RPL and TI are the low three bits of a selector.
#define HVP_HOST_SELECTOR(NAME, FIELD)                                                    \
    {"host-{}-rpl-ti",                                                                    \
     &section_host_segments,                                                              \
     "RPL (bits 1:0) and TI (bit 2) of the host {} selector are 0.",                      \
     "Write the selector & ~7. Windows keeps user selectors such as 2BH in the kernel's " \
     "DS and ES; a VM exit loads all of them for CPL 0 from the GDT.",                    \
     clear<always, FIELD, bits(2, 0)>,                                                    \
     about(FIELD),                                                                        \
     NAME}
#define HVP_HOST_BASE(NAME, FIELD, REMEDY)       \
    {"host-{}-base",                             \
     &section_host_segments,                     \
     "The host {} base is a canonical address.", \
     REMEDY,                                     \
     canonical<is_64_bit_processor, FIELD>,      \
     about(FIELD),                               \
     NAME}

inline constexpr auto host_segment_rules = std::to_array<EntryRule>({
    HVP_HOST_SELECTOR("ES", host_es_selector),
    HVP_HOST_SELECTOR("CS", host_cs_selector),
    HVP_HOST_SELECTOR("SS", host_ss_selector),
    HVP_HOST_SELECTOR("DS", host_ds_selector),
    HVP_HOST_SELECTOR("FS", host_fs_selector),
    HVP_HOST_SELECTOR("GS", host_gs_selector),
    HVP_HOST_SELECTOR("TR", host_tr_selector),
    {"host-cs-not-null", &section_host_segments, "The host CS selector is not 0000H.",
     "Write the kernel's code segment (10H under Windows).",
     [](VmcsUnderTest& x) { return broken_if(x.raw(host_cs_selector) == 0); },
     about(host_cs_selector)},
    {"host-tr-not-null", &section_host_segments, "The host TR selector is not 0000H.",
     "A VMM must have a TSS: write what STR says (40H under Windows), or make one of your own. "
     "Under UEFI TR is often 0: a TSS has to be made there.",
     [](VmcsUnderTest& x) { return broken_if(x.raw(host_tr_selector) == 0); },
     about(host_tr_selector)},
    {"host-ss-not-null", &section_host_segments,
     "The host SS selector is not 0000H if \"host address-space size\" is 0.",
     "Write the kernel's stack segment; only a 64-bit VMM may have a null SS.",
     [](VmcsUnderTest& x) {
         return broken_if(x.raw(host_ss_selector) == 0 &&
                          !x.has(ExitControl::host_address_space_size));
     },
     about(host_ss_selector, exit_controls)},
    HVP_HOST_BASE("FS", host_fs_base, "Write what RDMSR C0000100H says."),
    HVP_HOST_BASE("GS", host_gs_base, "Write what RDMSR C0000101H says."),
    HVP_HOST_BASE("TR", host_tr_base,
                  "Put all four parts of the TSS descriptor together: in 64-bit mode it has 16 "
                  "bytes, and bits 63:32 of the base are in its third doubleword."),
    HVP_HOST_BASE("GDTR", host_gdtr_base, "Write what SGDT stores behind the limit, 8 bytes."),
    HVP_HOST_BASE("IDTR", host_idtr_base, "Write what SIDT stores behind the limit, 8 bytes."),
});

#undef HVP_HOST_SELECTOR
#undef HVP_HOST_BASE

/// On a 64-bit processor, with or without "host address-space size".
template <bool wide>
[[nodiscard]] bool host_is(VmcsUnderTest& x) {
    return x.is(Fact::has_intel_64) && x.has(ExitControl::host_address_space_size) == wide;
}

inline constexpr std::uint64_t ia32e_guest_bit = bit(9);
inline constexpr std::uint64_t host_size_bit = bit(9);

inline constexpr auto size_rules = std::to_array<EntryRule>({
    {"size-32-bit-guest", &section_size,
     "Outside IA-32e mode, VM entry has \"IA-32e mode guest\" 0.",
     "Switch the processor to IA-32e mode first; a 32-bit VMM cannot have a 64-bit guest.",
     [](VmcsUnderTest& x) {
         const bool applies = x.is(Fact::has_intel_64) && !x.is(Fact::in_ia32e_mode);
         return applies ? broken_by(x.raw(entry_controls) & ia32e_guest_bit) : holds;
     },
     about(entry_controls, Fact::in_ia32e_mode)},
    {"size-32-bit-host", &section_size,
     "Outside IA-32e mode, VM entry has \"host address-space size\" 0.",
     "Clear bit 9 of the VM-exit controls: the host must be what it is now.",
     [](VmcsUnderTest& x) {
         const bool applies = x.is(Fact::has_intel_64) && !x.is(Fact::in_ia32e_mode);
         return applies ? broken_by(x.raw(exit_controls) & host_size_bit) : holds;
     },
     about(exit_controls, Fact::in_ia32e_mode)},
    {"size-64-bit-host", &section_size,
     "In IA-32e mode, VM entry has \"host address-space size\" 1.",
     "Set bit 9 of the VM-exit controls: a VM exit must come back to 64-bit code.",
     [](VmcsUnderTest& x) {
         const bool applies = x.is(Fact::has_intel_64) && x.is(Fact::in_ia32e_mode);
         return applies ? broken_by(~x.raw(exit_controls) & host_size_bit) : holds;
     },
     about(exit_controls, Fact::in_ia32e_mode)},
    {"size-host-32-guest-64", &section_size,
     "With \"host address-space size\" 0, \"IA-32e mode guest\" is 0.",
     "Set \"host address-space size\", if the VMM is 64-bit code.",
     clear<host_is<false>, entry_controls, ia32e_guest_bit>, about(entry_controls, exit_controls)},
    {"size-host-32-pcide", &section_size,
     "With \"host address-space size\" 0, the host CR4 has PCIDE 0.",
     "Process-context identifiers exist in IA-32e mode only.",
     clear<host_is<false>, host_cr4, bit(17)>, about(host_cr4, exit_controls)},
    {"size-host-32-rip", &section_size,
     "With \"host address-space size\" 0, bits 63:32 of the host RIP are 0.",
     "Set \"host address-space size\", if the VMM is 64-bit code.",
     clear<host_is<false>, host_rip, bits(63, 32)>, about(host_rip, exit_controls)},
    {"size-host-64-pae", &section_size,
     "With \"host address-space size\" 1, the host CR4 has PAE 1.",
     "Write the CR4 that the processor has; in IA-32e mode PAE is always set.",
     [](VmcsUnderTest& x) {
         return host_is<true>(x) ? broken_by(~x.raw(host_cr4) & bit(5)) : holds;
     },
     about(host_cr4, exit_controls)},
    {"size-host-64-rip", &section_size,
     "With \"host address-space size\" 1, the host RIP is a canonical address.",
     "Write the linear address of the code that handles VM exits.",
     canonical<host_is<true>, host_rip>, about(host_rip, exit_controls)},
    {"size-no-64-bit-guest", &section_size, "Without Intel 64, \"IA-32e mode guest\" is 0.",
     "Clear bit 9 of the VM-entry controls.",
     [](VmcsUnderTest& x) {
         return x.is(Fact::has_intel_64) ? holds
                                         : broken_by(x.raw(entry_controls) & ia32e_guest_bit);
     },
     about(entry_controls, Fact::has_intel_64)},
    {"size-no-64-bit-host", &section_size, "Without Intel 64, \"host address-space size\" is 0.",
     "Clear bit 9 of the VM-exit controls.",
     [](VmcsUnderTest& x) {
         return x.is(Fact::has_intel_64) ? holds : broken_by(x.raw(exit_controls) & host_size_bit);
     },
     about(exit_controls, Fact::has_intel_64)},
});

}  // namespace hvp::vmx::checks
