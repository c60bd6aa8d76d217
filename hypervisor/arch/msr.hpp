// Model-specific registers that we read or write, by the SDM's names without "IA32_".
#pragma once

#include <cstdint>

namespace hvp::arch {

/// What RDMSR and WRMSR take in ECX.  [SDM 3A 9.4 "Model-Specific Registers (MSRs)"]
enum class Msr : std::uint32_t {
    apic_base = 0x1B,
    feature_control = 0x3A,
    mtrrcap = 0xFE,
    sysenter_cs = 0x174,
    sysenter_esp = 0x175,
    sysenter_eip = 0x176,
    mcg_status = 0x17A,
    misc_enable = 0x1A0,
    debugctl = 0x1D9,
    smrr_physbase = 0x1F2,
    smrr_physmask = 0x1F3,
    mtrr_physbase0 = 0x200,  ///< the pairs follow one another: base, mask, base, mask
    mtrr_physmask0 = 0x201,
    mtrr_fix64k_00000 = 0x250,
    mtrr_fix16k_80000 = 0x258,
    mtrr_fix16k_a0000 = 0x259,
    mtrr_fix4k_c0000 = 0x268,  ///< and seven more, to F8000
    pat = 0x277,
    mtrr_def_type = 0x2FF,
    perf_global_ctrl = 0x38F,
    pebs_enable = 0x3F1,
    vmx_basic = 0x480,
    vmx_pinbased_ctls = 0x481,
    vmx_procbased_ctls = 0x482,
    vmx_exit_ctls = 0x483,
    vmx_entry_ctls = 0x484,
    vmx_misc = 0x485,
    vmx_cr0_fixed0 = 0x486,
    vmx_cr0_fixed1 = 0x487,
    vmx_cr4_fixed0 = 0x488,
    vmx_cr4_fixed1 = 0x489,
    vmx_vmcs_enum = 0x48A,
    vmx_procbased_ctls2 = 0x48B,
    vmx_ept_vpid_cap = 0x48C,
    vmx_true_pinbased_ctls = 0x48D,
    vmx_true_procbased_ctls = 0x48E,
    vmx_true_exit_ctls = 0x48F,
    vmx_true_entry_ctls = 0x490,
    vmx_vmfunc = 0x491,
    vmx_procbased_ctls3 = 0x492,
    vmx_exit_ctls2 = 0x493,
    u_cet = 0x6A0,
    s_cet = 0x6A2,
    tme_activate = 0x982,  ///< memory encryption; bits 35:32: how many address bits name a key
    xss = 0xDA0,
    efer = 0xC000'0080,
    star = 0xC000'0081,
    lstar = 0xC000'0082,
    cstar = 0xC000'0083,
    fmask = 0xC000'0084,
    fs_base = 0xC000'0100,
    gs_base = 0xC000'0101,
    kernel_gs_base = 0xC000'0102,
    tsc_aux = 0xC000'0103,
};

/// IA32_FEATURE_CONTROL: firmware's word on VT-x; written once, then locked until reset.
/// [SDM 3C 23.7 "Enabling and Entering VMX Operation"]
struct FeatureControl {
    std::uint64_t locked : 1 {};
    std::uint64_t vmx_inside_smx : 1 {};
    std::uint64_t vmx_outside_smx : 1 {};
    std::uint64_t other_features : 61 {};
};
static_assert(sizeof(FeatureControl) == sizeof(std::uint64_t));

}  // namespace hvp::arch
