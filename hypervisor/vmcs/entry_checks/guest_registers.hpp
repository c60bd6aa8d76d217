// The rules for the guest's control registers, debug registers and MSRs.
// [SDM 3C 26.3.1.1 "Checks on Guest Control Registers, Debug Registers, and MSRs"]
#pragma once

#include "hypervisor/vmcs/entry_checks/shared_checks.hpp"

namespace hvp::vmx::checks {

inline constexpr Citation section_guest{
    "3C", "26.3.1.1", "Checks on Guest Control Registers, Debug Registers, and MSRs"};

inline constexpr std::uint64_t pe_and_pg = bit(0) | bit(31);

/// Bits that IA32_DEBUGCTL does not have.  [SDM 3A 17.4.1 "IA32_DEBUGCTL MSR"]
inline constexpr std::uint64_t debugctl_reserved = bits(63, 16) | bits(5, 2);

/// An unrestricted guest may do without PE and PG.
[[nodiscard]] inline CheckResult guest_cr0_ones(VmcsUnderTest& x) {
    const std::uint64_t missing =
        x.raw(item(Msr::vmx_cr0_fixed0)) & ~x.raw(guest_cr0) & ~cr0_unchecked;
    if ((missing & pe_and_pg) != 0 && x.has(Secondary::unrestricted_guest)) {
        return broken_by(missing & ~pe_and_pg);
    }
    return broken_by(missing);
}

[[nodiscard]] inline bool paging(VmcsUnderTest& x) {
    return x.read(guest_cr0).has(arch::Cr0::paging);
}

[[nodiscard]] inline CheckResult guest_efer_lma(VmcsUnderTest& x) {
    if (!x.has(EntryControl::load_efer)) {
        return holds;
    }
    const bool active = x.read(guest_efer).has(arch::Efer::long_mode_active);
    return broken_by(active != x.has(EntryControl::ia32e_mode_guest) ? bit(10) : 0);
}

[[nodiscard]] inline CheckResult guest_efer_lme(VmcsUnderTest& x) {
    if (!x.has(EntryControl::load_efer) || !paging(x)) {
        return holds;
    }
    const auto efer = x.read(guest_efer);
    const bool differ =
        efer.has(arch::Efer::long_mode_active) != efer.has(arch::Efer::long_mode_enable);
    return broken_by(differ ? bit(8) : 0);
}

inline constexpr auto guest_register_rules = std::to_array<EntryRule>({
    {"guest-cr0-fixed-1", &section_guest,
     "The guest CR0 has every bit that IA32_VMX_CR0_FIXED0 demands (PE, NE, PG); an unrestricted "
     "guest may do without PE and PG.",
     "Compute (CR0 | FIXED0) & FIXED1. Most often NE (bit 5) is missing: the guest then keeps it "
     "hidden behind the CR0 guest/host mask and read shadow. For real mode or a guest without "
     "paging, set \"unrestricted guest\" (secondary, bit 7).",
     guest_cr0_ones, about(guest_cr0, Msr::vmx_cr0_fixed0)},
    {"guest-cr0-fixed-0", &section_guest,
     "The guest CR0 has no bit that IA32_VMX_CR0_FIXED1 forbids.",
     "Clear bits 63:32 and reserved ones.",
     fixed_to_0<guest_cr0, Msr::vmx_cr0_fixed1, cr0_unchecked>,
     about(guest_cr0, Msr::vmx_cr0_fixed1)},
    {"guest-cr0-pg-needs-pe", &section_guest, "The guest CR0 has PG only with PE.",
     "Set PE (bit 0): there is no paging in real mode.",
     [](VmcsUnderTest& x) {
         return broken_by(paging(x) && !x.read(guest_cr0).has(arch::Cr0::protection_enable) ? bit(0)
                                                                                            : 0);
     },
     about(guest_cr0)},
    {"guest-cr4-fixed-1", &section_guest,
     "The guest CR4 has every bit that IA32_VMX_CR4_FIXED0 demands (VMXE).",
     "Set VMXE (bit 13), also for a guest that knows nothing of VMX; hide it from the guest by the "
     "CR4 guest/host mask and read shadow.",
     fixed_to_1<guest_cr4, Msr::vmx_cr4_fixed0, 0>, about(guest_cr4, Msr::vmx_cr4_fixed0)},
    {"guest-cr4-fixed-0", &section_guest,
     "The guest CR4 has no bit that IA32_VMX_CR4_FIXED1 forbids.",
     "Clear the bit: this processor does not have the feature.",
     fixed_to_0<guest_cr4, Msr::vmx_cr4_fixed1, 0>, about(guest_cr4, Msr::vmx_cr4_fixed1)},
    {"guest-debugctl-reserved", &section_guest,
     "With \"load debug controls\", the guest IA32_DEBUGCTL has no reserved bits.",
     "Write what RDMSR 1D9H says, or 0. Bochs 2.7 does not check this.",
     clear<on<EntryControl::load_debug_controls>, guest_debugctl, debugctl_reserved>,
     about(guest_debugctl, entry_controls)},
    {"guest-ia32e-needs-pg", &section_guest, "With \"IA-32e mode guest\", the guest CR0 has PG.",
     "Set PG (bit 31), or clear \"IA-32e mode guest\": IA-32e mode is active only with paging.",
     [](VmcsUnderTest& x) {
         return x.has(EntryControl::ia32e_mode_guest) ? broken_by(~x.raw(guest_cr0) & bit(31))
                                                      : holds;
     },
     about(guest_cr0, entry_controls)},
    {"guest-ia32e-needs-pae", &section_guest, "With \"IA-32e mode guest\", the guest CR4 has PAE.",
     "Set PAE (bit 5): IA-32e mode is active only with it.",
     [](VmcsUnderTest& x) {
         return x.has(EntryControl::ia32e_mode_guest) ? broken_by(~x.raw(guest_cr4) & bit(5))
                                                      : holds;
     },
     about(guest_cr4, entry_controls)},
    {"guest-pcide-needs-ia32e", &section_guest,
     "Without \"IA-32e mode guest\", the guest CR4 has PCIDE 0.",
     "Set \"IA-32e mode guest\" (VM-entry controls, bit 9) for a 64-bit guest; else clear bit 17.",
     [](VmcsUnderTest& x) {
         const bool applies = x.is(Fact::has_intel_64) && !x.has(EntryControl::ia32e_mode_guest);
         return applies ? broken_by(x.raw(guest_cr4) & bit(17)) : holds;
     },
     about(guest_cr4, entry_controls)},
    {"guest-cr3-width", &section_guest,
     "The guest CR3 has no bits beyond the processor's physical-address width, and bit 63 is 0.",
     "Write the physical address of the guest's page tables; clear bit 63, which only MOV to CR3 "
     "knows.",
     cr3_within_width<guest_cr3>, about(guest_cr3)},
    {"guest-dr7-high", &section_guest,
     "With \"load debug controls\", bits 63:32 of the guest DR7 are 0.", "400H is DR7 after reset.",
     [](VmcsUnderTest& x) {
         const bool applies = x.is(Fact::has_intel_64) && x.has(EntryControl::load_debug_controls);
         return applies ? broken_by(x.raw(guest_dr7) & bits(63, 32)) : holds;
     },
     about(guest_dr7, entry_controls)},
    {"guest-sysenter-esp", &section_guest, "The guest IA32_SYSENTER_ESP is a canonical address.",
     "Write what RDMSR 175H says, or 0.", canonical<is_64_bit_processor, guest_sysenter_esp>,
     about(guest_sysenter_esp)},
    {"guest-sysenter-eip", &section_guest, "The guest IA32_SYSENTER_EIP is a canonical address.",
     "Write what RDMSR 176H says, or 0.", canonical<is_64_bit_processor, guest_sysenter_eip>,
     about(guest_sysenter_eip)},
    {"guest-perf-global-ctrl", &section_guest,
     "With the VM-entry control \"load IA32_PERF_GLOBAL_CTRL\", the guest's value has no reserved "
     "bits.",
     "Set only bits of counters that CPUID.0AH reports.",
     perf_global_ctrl_reserved<EntryControl::load_perf_global_ctrl, guest_perf_global_ctrl>,
     about(guest_perf_global_ctrl, entry_controls)},
    {"guest-pat", &section_guest,
     "With the VM-entry control \"load IA32_PAT\", each byte of the guest's value is 0, 1, 4, 5, 6 "
     "or 7.",
     "Write what RDMSR 277H says.", pat_types<EntryControl::load_pat, guest_pat>,
     about(guest_pat, entry_controls)},
    {"guest-efer-reserved", &section_guest,
     "With the VM-entry control \"load IA32_EFER\", the guest's value has no reserved bits.",
     "Only SCE (0), LME (8), LMA (10) and NXE (11) exist.",
     clear<on<EntryControl::load_efer>, guest_efer, efer_reserved>,
     about(guest_efer, entry_controls)},
    {"guest-efer-lma", &section_guest,
     "With the VM-entry control \"load IA32_EFER\", LMA of the guest's value equals \"IA-32e mode "
     "guest\".",
     "For a 64-bit guest set both; for a 32-bit or real-mode guest clear both. A guest that "
     "switches "
     "mode while it runs needs both changed at that exit.",
     guest_efer_lma, about(guest_efer, entry_controls)},
    {"guest-efer-lme", &section_guest,
     "With the VM-entry control \"load IA32_EFER\" and the guest's CR0.PG, LMA and LME of the "
     "guest's value are equal.",
     "With paging on, LME says what LMA must be: set or clear both.", guest_efer_lme,
     about(guest_efer, guest_cr0, entry_controls)},
    {"guest-bndcfgs-reserved", &section_guest,
     "With the VM-entry control \"load IA32_BNDCFGS\", bits 11:2 of the guest's value are 0.",
     "Bits 1:0 enable and preserve; the bound directory's address begins at bit 12.",
     clear<on<EntryControl::load_bndcfgs>, guest_bndcfgs, bits(11, 2)>,
     about(guest_bndcfgs, entry_controls)},
    {"guest-bndcfgs-canonical", &section_guest,
     "With the VM-entry control \"load IA32_BNDCFGS\", the address in bits 63:12 of the guest's "
     "value is canonical.",
     "Write the bound directory's linear address.",
     [](VmcsUnderTest& x) {
         return broken_if(x.has(EntryControl::load_bndcfgs) &&
                          !x.is_canonical(x.raw(guest_bndcfgs) & ~bits(11, 0)));
     },
     about(guest_bndcfgs, entry_controls)},
    {"guest-cet-needs-wp", &section_guest, "The guest CR4 has CET only if CR0 has WP.",
     "Set CR0.WP, or clear CR4.CET.", cet_needs_wp<guest_cr0, guest_cr4>,
     about(guest_cr4, guest_cr0), "", true},
    {"guest-s-cet", &section_guest,
     "With the VM-entry control \"load CET state\", the guest's IA32_S_CET has no reserved bits "
     "and "
     "a canonical address in bits 63:12.",
     "Write what RDMSR 6A2H says.", s_cet_valid<EntryControl::load_cet_state, guest_s_cet>,
     about(guest_s_cet, entry_controls), "", true},
    {"guest-ssp", &section_guest,
     "With the VM-entry control \"load CET state\", the guest's SSP is canonical and bits 1:0 are "
     "0.",
     "Write the top of a shadow stack, aligned to 4 bytes.",
     ssp_valid<EntryControl::load_cet_state, guest_ssp>, about(guest_ssp, entry_controls), "",
     true},
    {"guest-interrupt-ssp-table", &section_guest,
     "With the VM-entry control \"load CET state\", the guest's IA32_INTERRUPT_SSP_TABLE_ADDR is "
     "canonical.",
     "Write what RDMSR 6A8H says.",
     canonical<on<EntryControl::load_cet_state>, guest_interrupt_ssp_table>,
     about(guest_interrupt_ssp_table, entry_controls), "", true},
    {"guest-pkrs", &section_guest,
     "With the VM-entry control \"load PKRS\", bits 63:32 of the guest's IA32_PKRS are 0.",
     "The register has 32 bits.", clear<on<EntryControl::load_pkrs>, guest_pkrs, bits(63, 32)>,
     about(guest_pkrs, entry_controls), "", true},
});

}  // namespace hvp::vmx::checks
