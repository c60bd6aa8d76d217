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
    {"guest-cr0-fixed-1", &section_guest, guest_cr0_ones, fields(guest_cr0, Msr::vmx_cr0_fixed0)},
    {"guest-cr0-fixed-0", &section_guest, fixed_to_0<guest_cr0, Msr::vmx_cr0_fixed1, cr0_unchecked>,
     fields(guest_cr0, Msr::vmx_cr0_fixed1)},
    {"guest-cr0-pg-needs-pe", &section_guest,
     [](VmcsUnderTest& x) {
         return broken_by(paging(x) && !x.read(guest_cr0).has(arch::Cr0::protection_enable) ? bit(0)
                                                                                            : 0);
     },
     fields(guest_cr0)},
    {"guest-cr4-fixed-1", &section_guest, fixed_to_1<guest_cr4, Msr::vmx_cr4_fixed0, 0>,
     fields(guest_cr4, Msr::vmx_cr4_fixed0)},
    {"guest-cr4-fixed-0", &section_guest, fixed_to_0<guest_cr4, Msr::vmx_cr4_fixed1, 0>,
     fields(guest_cr4, Msr::vmx_cr4_fixed1)},
    {"guest-debugctl-reserved", &section_guest,
     clear<when<EntryControl::load_debug_controls>, guest_debugctl, debugctl_reserved>,
     fields(guest_debugctl, entry_controls)},
    {"guest-ia32e-needs-pg", &section_guest,
     [](VmcsUnderTest& x) {
         return x.has(EntryControl::ia32e_mode_guest) ? broken_by(~x.raw(guest_cr0) & bit(31))
                                                      : holds;
     },
     fields(guest_cr0, entry_controls)},
    {"guest-ia32e-needs-pae", &section_guest,
     [](VmcsUnderTest& x) {
         return x.has(EntryControl::ia32e_mode_guest) ? broken_by(~x.raw(guest_cr4) & bit(5))
                                                      : holds;
     },
     fields(guest_cr4, entry_controls)},
    {"guest-pcide-needs-ia32e", &section_guest,
     [](VmcsUnderTest& x) {
         const bool applies = x.is(Fact::has_intel_64) && !x.has(EntryControl::ia32e_mode_guest);
         return applies ? broken_by(x.raw(guest_cr4) & bit(17)) : holds;
     },
     fields(guest_cr4, entry_controls)},
    {"guest-cr3-width", &section_guest, cr3_within_width<guest_cr3>, fields(guest_cr3)},
    {"guest-dr7-high", &section_guest,
     [](VmcsUnderTest& x) {
         const bool applies = x.is(Fact::has_intel_64) && x.has(EntryControl::load_debug_controls);
         return applies ? broken_by(x.raw(guest_dr7) & bits(63, 32)) : holds;
     },
     fields(guest_dr7, entry_controls)},
    {"guest-sysenter-esp", &section_guest, canonical<is_64_bit_processor, guest_sysenter_esp>,
     fields(guest_sysenter_esp)},
    {"guest-sysenter-eip", &section_guest, canonical<is_64_bit_processor, guest_sysenter_eip>,
     fields(guest_sysenter_eip)},
    {"guest-perf-global-ctrl", &section_guest,
     perf_global_ctrl_reserved<EntryControl::load_perf_global_ctrl, guest_perf_global_ctrl>,
     fields(guest_perf_global_ctrl, entry_controls)},
    {"guest-pat", &section_guest, pat_types<EntryControl::load_pat, guest_pat>,
     fields(guest_pat, entry_controls)},
    {"guest-efer-reserved", &section_guest,
     clear<when<EntryControl::load_efer>, guest_efer, efer_reserved>,
     fields(guest_efer, entry_controls)},
    {"guest-efer-lma", &section_guest, guest_efer_lma, fields(guest_efer, entry_controls)},
    {"guest-efer-lme", &section_guest, guest_efer_lme,
     fields(guest_efer, guest_cr0, entry_controls)},
    {"guest-bndcfgs-reserved", &section_guest,
     clear<when<EntryControl::load_bndcfgs>, guest_bndcfgs, bits(11, 2)>,
     fields(guest_bndcfgs, entry_controls)},
    {"guest-bndcfgs-canonical", &section_guest,
     [](VmcsUnderTest& x) {
         return broken_if(x.has(EntryControl::load_bndcfgs) &&
                          !x.is_canonical(x.raw(guest_bndcfgs) & ~bits(11, 0)));
     },
     fields(guest_bndcfgs, entry_controls)},
    {"guest-cet-needs-wp", &section_guest, cet_needs_wp<guest_cr0, guest_cr4>,
     fields(guest_cr4, guest_cr0), "", true},
    {"guest-s-cet", &section_guest, s_cet_valid<EntryControl::load_cet_state, guest_s_cet>,
     fields(guest_s_cet, entry_controls), "", true},
    {"guest-ssp", &section_guest, ssp_valid<EntryControl::load_cet_state, guest_ssp>,
     fields(guest_ssp, entry_controls), "", true},
    {"guest-interrupt-ssp-table", &section_guest,
     canonical<when<EntryControl::load_cet_state>, guest_interrupt_ssp_table>,
     fields(guest_interrupt_ssp_table, entry_controls), "", true},
    {"guest-pkrs", &section_guest, clear<when<EntryControl::load_pkrs>, guest_pkrs, bits(63, 32)>,
     fields(guest_pkrs, entry_controls), "", true},
});

}  // namespace hvp::vmx::checks
