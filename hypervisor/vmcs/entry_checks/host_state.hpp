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
    {"host-cr0-fixed-1", &section_host, fixed_to_1<host_cr0, Msr::vmx_cr0_fixed0, cr0_unchecked>,
     fields(host_cr0, Msr::vmx_cr0_fixed0)},
    {"host-cr0-fixed-0", &section_host, fixed_to_0<host_cr0, Msr::vmx_cr0_fixed1, cr0_unchecked>,
     fields(host_cr0, Msr::vmx_cr0_fixed1)},
    {"host-cr4-fixed-1", &section_host, fixed_to_1<host_cr4, Msr::vmx_cr4_fixed0, 0>,
     fields(host_cr4, Msr::vmx_cr4_fixed0)},
    {"host-cr4-fixed-0", &section_host, fixed_to_0<host_cr4, Msr::vmx_cr4_fixed1, 0>,
     fields(host_cr4, Msr::vmx_cr4_fixed1)},
    {"host-cr3-width", &section_host, cr3_within_width<host_cr3>, fields(host_cr3)},
    {"host-sysenter-esp", &section_host, canonical<is_64_bit_processor, host_sysenter_esp>,
     fields(host_sysenter_esp)},
    {"host-sysenter-eip", &section_host, canonical<is_64_bit_processor, host_sysenter_eip>,
     fields(host_sysenter_eip)},
    {"host-perf-global-ctrl", &section_host,
     perf_global_ctrl_reserved<ExitControl::load_perf_global_ctrl, host_perf_global_ctrl>,
     fields(host_perf_global_ctrl, exit_controls)},
    {"host-pat", &section_host, pat_types<ExitControl::load_pat, host_pat>,
     fields(host_pat, exit_controls)},
    {"host-efer-reserved", &section_host,
     clear<when<ExitControl::load_efer>, host_efer, efer_reserved>,
     fields(host_efer, exit_controls)},
    {"host-efer-mode", &section_host,
     [](VmcsUnderTest& x) {
         if (!x.has(ExitControl::load_efer)) {
             return holds;
         }
         const bool wide = x.has(ExitControl::host_address_space_size);
         const std::uint64_t wanted = wide ? bit(10) | bit(8) : 0;
         return broken_by((x.raw(host_efer) & (bit(10) | bit(8))) ^ wanted);
     },
     fields(host_efer, exit_controls)},
    {"host-cet-needs-wp", &section_host, cet_needs_wp<host_cr0, host_cr4>,
     fields(host_cr4, host_cr0), "", true},
    {"host-s-cet", &section_host, s_cet_valid<ExitControl::load_cet_state, host_s_cet>,
     fields(host_s_cet, exit_controls), "", true},
    {"host-ssp", &section_host, ssp_valid<ExitControl::load_cet_state, host_ssp>,
     fields(host_ssp, exit_controls), "", true},
    {"host-interrupt-ssp-table", &section_host,
     canonical<when<ExitControl::load_cet_state>, host_interrupt_ssp_table>,
     fields(host_interrupt_ssp_table, exit_controls), "", true},
    {"host-pkrs", &section_host, clear<when<ExitControl::load_pkrs>, host_pkrs, bits(63, 32)>,
     fields(host_pkrs, exit_controls), "", true},
});

/// RPL and TI are the low three bits of a selector.
#define HVP_HOST_SELECTOR(NAME, FIELD)                                                          \
    {"host-{}-rpl-ti", &section_host_segments, clear<always, FIELD, bits(2, 0)>, fields(FIELD), \
     NAME}
#define HVP_HOST_BASE(NAME, FIELD)                                                                 \
    {"host-{}-base", &section_host_segments, canonical<is_64_bit_processor, FIELD>, fields(FIELD), \
     NAME}

inline constexpr auto host_segment_rules = std::to_array<EntryRule>({
    HVP_HOST_SELECTOR("ES", host_es_selector),
    HVP_HOST_SELECTOR("CS", host_cs_selector),
    HVP_HOST_SELECTOR("SS", host_ss_selector),
    HVP_HOST_SELECTOR("DS", host_ds_selector),
    HVP_HOST_SELECTOR("FS", host_fs_selector),
    HVP_HOST_SELECTOR("GS", host_gs_selector),
    HVP_HOST_SELECTOR("TR", host_tr_selector),
    {"host-cs-not-null", &section_host_segments,
     [](VmcsUnderTest& x) { return broken_if(x.raw(host_cs_selector) == 0); },
     fields(host_cs_selector)},
    {"host-tr-not-null", &section_host_segments,
     [](VmcsUnderTest& x) { return broken_if(x.raw(host_tr_selector) == 0); },
     fields(host_tr_selector)},
    {"host-ss-not-null", &section_host_segments,
     [](VmcsUnderTest& x) {
         return broken_if(x.raw(host_ss_selector) == 0 &&
                          !x.has(ExitControl::host_address_space_size));
     },
     fields(host_ss_selector, exit_controls)},
    HVP_HOST_BASE("FS", host_fs_base),
    HVP_HOST_BASE("GS", host_gs_base),
    HVP_HOST_BASE("TR", host_tr_base),
    HVP_HOST_BASE("GDTR", host_gdtr_base),
    HVP_HOST_BASE("IDTR", host_idtr_base),
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
     [](VmcsUnderTest& x) {
         const bool applies = x.is(Fact::has_intel_64) && !x.is(Fact::in_ia32e_mode);
         return applies ? broken_by(x.raw(entry_controls) & ia32e_guest_bit) : holds;
     },
     fields(entry_controls, Fact::in_ia32e_mode)},
    {"size-32-bit-host", &section_size,
     [](VmcsUnderTest& x) {
         const bool applies = x.is(Fact::has_intel_64) && !x.is(Fact::in_ia32e_mode);
         return applies ? broken_by(x.raw(exit_controls) & host_size_bit) : holds;
     },
     fields(exit_controls, Fact::in_ia32e_mode)},
    {"size-64-bit-host", &section_size,
     [](VmcsUnderTest& x) {
         const bool applies = x.is(Fact::has_intel_64) && x.is(Fact::in_ia32e_mode);
         return applies ? broken_by(~x.raw(exit_controls) & host_size_bit) : holds;
     },
     fields(exit_controls, Fact::in_ia32e_mode)},
    {"size-host-32-guest-64", &section_size, clear<host_is<false>, entry_controls, ia32e_guest_bit>,
     fields(entry_controls, exit_controls)},
    {"size-host-32-pcide", &section_size, clear<host_is<false>, host_cr4, bit(17)>,
     fields(host_cr4, exit_controls)},
    {"size-host-32-rip", &section_size, clear<host_is<false>, host_rip, bits(63, 32)>,
     fields(host_rip, exit_controls)},
    {"size-host-64-pae", &section_size,
     [](VmcsUnderTest& x) {
         return host_is<true>(x) ? broken_by(~x.raw(host_cr4) & bit(5)) : holds;
     },
     fields(host_cr4, exit_controls)},
    {"size-host-64-rip", &section_size, canonical<host_is<true>, host_rip>,
     fields(host_rip, exit_controls)},
    {"size-no-64-bit-guest", &section_size,
     [](VmcsUnderTest& x) {
         return x.is(Fact::has_intel_64) ? holds
                                         : broken_by(x.raw(entry_controls) & ia32e_guest_bit);
     },
     fields(entry_controls, Fact::has_intel_64)},
    {"size-no-64-bit-host", &section_size,
     [](VmcsUnderTest& x) {
         return x.is(Fact::has_intel_64) ? holds : broken_by(x.raw(exit_controls) & host_size_bit);
     },
     fields(exit_controls, Fact::has_intel_64)},
});

}  // namespace hvp::vmx::checks
