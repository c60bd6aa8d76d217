// What MSRs and facts about the processor are called, in dumps and in ours.
#pragma once

#include <array>

#include "hypervisor/vmcs/entry_checks/vmcs_under_test.hpp"

namespace hvp::tool {

struct MsrName {
    arch::Msr msr;
    const char* name;
};

/// The MSRs that VM entry looks at.  [SDM 3D A.1 "Basic VMX Information"] and the rest of its
/// appendix
inline constexpr auto msr_names = std::to_array<MsrName>({
    {arch::Msr::vmx_basic, "IA32_VMX_BASIC"},
    {arch::Msr::vmx_pinbased_ctls, "IA32_VMX_PINBASED_CTLS"},
    {arch::Msr::vmx_procbased_ctls, "IA32_VMX_PROCBASED_CTLS"},
    {arch::Msr::vmx_exit_ctls, "IA32_VMX_EXIT_CTLS"},
    {arch::Msr::vmx_entry_ctls, "IA32_VMX_ENTRY_CTLS"},
    {arch::Msr::vmx_misc, "IA32_VMX_MISC"},
    {arch::Msr::vmx_cr0_fixed0, "IA32_VMX_CR0_FIXED0"},
    {arch::Msr::vmx_cr0_fixed1, "IA32_VMX_CR0_FIXED1"},
    {arch::Msr::vmx_cr4_fixed0, "IA32_VMX_CR4_FIXED0"},
    {arch::Msr::vmx_cr4_fixed1, "IA32_VMX_CR4_FIXED1"},
    {arch::Msr::vmx_vmcs_enum, "IA32_VMX_VMCS_ENUM"},
    {arch::Msr::vmx_procbased_ctls2, "IA32_VMX_PROCBASED_CTLS2"},
    {arch::Msr::vmx_ept_vpid_cap, "IA32_VMX_EPT_VPID_CAP"},
    {arch::Msr::vmx_true_pinbased_ctls, "IA32_VMX_TRUE_PINBASED_CTLS"},
    {arch::Msr::vmx_true_procbased_ctls, "IA32_VMX_TRUE_PROCBASED_CTLS"},
    {arch::Msr::vmx_true_exit_ctls, "IA32_VMX_TRUE_EXIT_CTLS"},
    {arch::Msr::vmx_true_entry_ctls, "IA32_VMX_TRUE_ENTRY_CTLS"},
    {arch::Msr::vmx_vmfunc, "IA32_VMX_VMFUNC"},
});

struct FactName {
    vmx::checks::Fact fact;
    const char* name;   ///< for people, and in dumps of ours
    bool is_yes_or_no;  ///< else a number
};

inline constexpr auto fact_names = std::to_array<FactName>({
    {vmx::checks::Fact::physical_address_bits, "physical-address width", false},
    {vmx::checks::Fact::linear_address_bits, "linear-address width", false},
    {vmx::checks::Fact::has_intel_64, "Intel 64", true},
    {vmx::checks::Fact::has_sgx, "SGX", true},
    {vmx::checks::Fact::has_rtm, "RTM", true},
    {vmx::checks::Fact::perf_global_ctrl_mask, "IA32_PERF_GLOBAL_CTRL's bits", false},
    {vmx::checks::Fact::nmi_under_sti_refused, "NMI refused under blocking by STI", true},
    {vmx::checks::Fact::in_smm, "in SMM", true},
    {vmx::checks::Fact::in_ia32e_mode, "in IA-32e mode", true},
    {vmx::checks::Fact::outside_64_bit_mode, "in virtual-8086 or compatibility mode", true},
    {vmx::checks::Fact::privilege_level, "CPL", false},
    {vmx::checks::Fact::has_current_vmcs, "current VMCS", true},
    {vmx::checks::Fact::current_vmcs_is_shadow, "current VMCS is a shadow VMCS", true},
    {vmx::checks::Fact::current_vmcs_pointer, "current-VMCS pointer", false},
    {vmx::checks::Fact::blocking_by_mov_ss, "MOV SS just before VM entry", true},
    {vmx::checks::Fact::by_vmresume, "VMRESUME", true},
    {vmx::checks::Fact::is_launched, "launch state is launched", true},
});
static_assert(fact_names.size() == vmx::checks::fact_count);

}  // namespace hvp::tool
