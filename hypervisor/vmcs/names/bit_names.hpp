// What the bits of controls and control registers are called, for people.
//
// The numbers are those of the enumerators; here are the SDM's names for them. Only the host's tool
// and the tests include this: a driver tells values, and the tool names their bits.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <span>
#include <utility>

#include "hypervisor/arch/control_registers.hpp"
#include "hypervisor/vmcs/controls.hpp"
#include "hypervisor/vmcs/fields.hpp"

namespace hvp::vmx {

/// One bit of a word, and its name.
struct BitName {
    std::uint64_t mask;
    const char* name;
};

template <typename Switch>
[[nodiscard]] constexpr BitName bit_name(Switch bit, const char* name) {
    return {static_cast<std::uint64_t>(std::to_underlying(bit)), name};
}

/// [SDM 3C 24.6.1 "Pin-Based VM-Execution Controls"]
inline constexpr auto pin_control_names = std::to_array<BitName>({
    bit_name(PinControl::external_interrupt_exiting, "external-interrupt exiting"),
    bit_name(PinControl::nmi_exiting, "NMI exiting"),
    bit_name(PinControl::virtual_nmis, "virtual NMIs"),
    bit_name(PinControl::activate_preemption_timer, "activate VMX-preemption timer"),
    bit_name(PinControl::process_posted_interrupts, "process posted interrupts"),
});

/// [SDM 3C 24.6.2 "Processor-Based VM-Execution Controls", Table 24-6]
inline constexpr auto primary_control_names = std::to_array<BitName>({
    bit_name(PrimaryControl::interrupt_window_exiting, "interrupt-window exiting"),
    bit_name(PrimaryControl::use_tsc_offsetting, "use TSC offsetting"),
    bit_name(PrimaryControl::hlt_exiting, "HLT exiting"),
    bit_name(PrimaryControl::invlpg_exiting, "INVLPG exiting"),
    bit_name(PrimaryControl::mwait_exiting, "MWAIT exiting"),
    bit_name(PrimaryControl::rdpmc_exiting, "RDPMC exiting"),
    bit_name(PrimaryControl::rdtsc_exiting, "RDTSC exiting"),
    bit_name(PrimaryControl::cr3_load_exiting, "CR3-load exiting"),
    bit_name(PrimaryControl::cr3_store_exiting, "CR3-store exiting"),
    bit_name(PrimaryControl::activate_tertiary_controls, "activate tertiary controls"),
    bit_name(PrimaryControl::cr8_load_exiting, "CR8-load exiting"),
    bit_name(PrimaryControl::cr8_store_exiting, "CR8-store exiting"),
    bit_name(PrimaryControl::use_tpr_shadow, "use TPR shadow"),
    bit_name(PrimaryControl::nmi_window_exiting, "NMI-window exiting"),
    bit_name(PrimaryControl::mov_dr_exiting, "MOV-DR exiting"),
    bit_name(PrimaryControl::unconditional_io_exiting, "unconditional I/O exiting"),
    bit_name(PrimaryControl::use_io_bitmaps, "use I/O bitmaps"),
    bit_name(PrimaryControl::monitor_trap_flag, "monitor trap flag"),
    bit_name(PrimaryControl::use_msr_bitmaps, "use MSR bitmaps"),
    bit_name(PrimaryControl::monitor_exiting, "MONITOR exiting"),
    bit_name(PrimaryControl::pause_exiting, "PAUSE exiting"),
    bit_name(PrimaryControl::activate_secondary_controls, "activate secondary controls"),
});

/// [SDM 3C 24.6.2 "Processor-Based VM-Execution Controls", Table 24-7]
inline constexpr auto secondary_control_names = std::to_array<BitName>({
    bit_name(SecondaryControl::virtualize_apic_accesses, "virtualize APIC accesses"),
    bit_name(SecondaryControl::enable_ept, "enable EPT"),
    bit_name(SecondaryControl::descriptor_table_exiting, "descriptor-table exiting"),
    bit_name(SecondaryControl::enable_rdtscp, "enable RDTSCP"),
    bit_name(SecondaryControl::virtualize_x2apic_mode, "virtualize x2APIC mode"),
    bit_name(SecondaryControl::enable_vpid, "enable VPID"),
    bit_name(SecondaryControl::wbinvd_exiting, "WBINVD exiting"),
    bit_name(SecondaryControl::unrestricted_guest, "unrestricted guest"),
    bit_name(SecondaryControl::apic_register_virtualization, "APIC-register virtualization"),
    bit_name(SecondaryControl::virtual_interrupt_delivery, "virtual-interrupt delivery"),
    bit_name(SecondaryControl::pause_loop_exiting, "PAUSE-loop exiting"),
    bit_name(SecondaryControl::rdrand_exiting, "RDRAND exiting"),
    bit_name(SecondaryControl::enable_invpcid, "enable INVPCID"),
    bit_name(SecondaryControl::enable_vm_functions, "enable VM functions"),
    bit_name(SecondaryControl::vmcs_shadowing, "VMCS shadowing"),
    bit_name(SecondaryControl::enable_encls_exiting, "enable ENCLS exiting"),
    bit_name(SecondaryControl::rdseed_exiting, "RDSEED exiting"),
    bit_name(SecondaryControl::enable_pml, "enable PML"),
    bit_name(SecondaryControl::ept_violation_exception, "EPT-violation #VE"),
    bit_name(SecondaryControl::conceal_vmx_from_pt, "conceal VMX from PT"),
    bit_name(SecondaryControl::enable_xsaves, "enable XSAVES/XRSTORS"),
    bit_name(SecondaryControl::mode_based_execute_control, "mode-based execute control for EPT"),
    bit_name(SecondaryControl::sub_page_write_permissions, "sub-page write permissions for EPT"),
    bit_name(SecondaryControl::use_tsc_scaling, "use TSC scaling"),
    bit_name(SecondaryControl::enable_user_wait_and_pause, "enable user wait and pause"),
    bit_name(SecondaryControl::enable_pconfig, "enable PCONFIG"),
});

/// [SDM 3C 24.7.1 "VM-Exit Controls"]; those from bit 25 up are newer.
inline constexpr auto exit_control_names = std::to_array<BitName>({
    bit_name(ExitControl::save_debug_controls, "save debug controls"),
    bit_name(ExitControl::host_address_space_size, "host address-space size"),
    bit_name(ExitControl::load_perf_global_ctrl, "load IA32_PERF_GLOBAL_CTRL"),
    bit_name(ExitControl::acknowledge_interrupt_on_exit, "acknowledge interrupt on exit"),
    bit_name(ExitControl::save_pat, "save IA32_PAT"),
    bit_name(ExitControl::load_pat, "load IA32_PAT"),
    bit_name(ExitControl::save_efer, "save IA32_EFER"),
    bit_name(ExitControl::load_efer, "load IA32_EFER"),
    bit_name(ExitControl::save_preemption_timer_value, "save VMX-preemption timer value"),
    bit_name(ExitControl::clear_bndcfgs, "clear IA32_BNDCFGS"),
    bit_name(ExitControl::conceal_vmx_from_pt, "conceal VM exits from PT"),
    bit_name(ExitControl::clear_rtit_ctl, "clear IA32_RTIT_CTL"),
    bit_name(ExitControl::load_cet_state, "load CET state"),
    bit_name(ExitControl::load_pkrs, "load PKRS"),
});

/// [SDM 3C 24.8.1 "VM-Entry Controls"]; those from bit 18 up are newer.
inline constexpr auto entry_control_names = std::to_array<BitName>({
    bit_name(EntryControl::load_debug_controls, "load debug controls"),
    bit_name(EntryControl::ia32e_mode_guest, "IA-32e mode guest"),
    bit_name(EntryControl::entry_to_smm, "entry to SMM"),
    bit_name(EntryControl::deactivate_dual_monitor, "deactivate dual-monitor treatment"),
    bit_name(EntryControl::load_perf_global_ctrl, "load IA32_PERF_GLOBAL_CTRL"),
    bit_name(EntryControl::load_pat, "load IA32_PAT"),
    bit_name(EntryControl::load_efer, "load IA32_EFER"),
    bit_name(EntryControl::load_bndcfgs, "load IA32_BNDCFGS"),
    bit_name(EntryControl::conceal_vmx_from_pt, "conceal VM entries from PT"),
    bit_name(EntryControl::load_rtit_ctl, "load IA32_RTIT_CTL"),
    bit_name(EntryControl::load_cet_state, "load CET state"),
    bit_name(EntryControl::load_pkrs, "load PKRS"),
});

/// [SDM 3A 2.5 "Control Registers"]
inline constexpr auto cr0_names = std::to_array<BitName>({
    bit_name(arch::Cr0::protection_enable, "PE"),
    bit_name(arch::Cr0::monitor_coprocessor, "MP"),
    bit_name(arch::Cr0::emulation, "EM"),
    bit_name(arch::Cr0::task_switched, "TS"),
    bit_name(arch::Cr0::extension_type, "ET"),
    bit_name(arch::Cr0::numeric_error, "NE"),
    bit_name(arch::Cr0::write_protect, "WP"),
    bit_name(arch::Cr0::alignment_mask, "AM"),
    bit_name(arch::Cr0::not_write_through, "NW"),
    bit_name(arch::Cr0::cache_disable, "CD"),
    bit_name(arch::Cr0::paging, "PG"),
});

/// [SDM 3A 2.5 "Control Registers"]
inline constexpr auto cr4_names = std::to_array<BitName>({
    bit_name(arch::Cr4::virtual_8086_extensions, "VME"),
    bit_name(arch::Cr4::protected_virtual_interrupts, "PVI"),
    bit_name(arch::Cr4::time_stamp_disable, "TSD"),
    bit_name(arch::Cr4::debugging_extensions, "DE"),
    bit_name(arch::Cr4::page_size_extensions, "PSE"),
    bit_name(arch::Cr4::physical_address_extension, "PAE"),
    bit_name(arch::Cr4::machine_check_enable, "MCE"),
    bit_name(arch::Cr4::page_global_enable, "PGE"),
    bit_name(arch::Cr4::performance_counter_enable, "PCE"),
    bit_name(arch::Cr4::os_fxsave, "OSFXSR"),
    bit_name(arch::Cr4::os_simd_exceptions, "OSXMMEXCPT"),
    bit_name(arch::Cr4::user_mode_instruction_prevention, "UMIP"),
    bit_name(arch::Cr4::linear_addresses_57_bits, "LA57"),
    bit_name(arch::Cr4::vmx_enable, "VMXE"),
    bit_name(arch::Cr4::smx_enable, "SMXE"),
    bit_name(arch::Cr4::fsgsbase, "FSGSBASE"),
    bit_name(arch::Cr4::process_context_identifiers, "PCIDE"),
    bit_name(arch::Cr4::os_xsave, "OSXSAVE"),
    bit_name(arch::Cr4::supervisor_mode_execution_prevention, "SMEP"),
    bit_name(arch::Cr4::supervisor_mode_access_prevention, "SMAP"),
    bit_name(arch::Cr4::protection_keys, "PKE"),
    bit_name(arch::Cr4::control_flow_enforcement, "CET"),
    bit_name(arch::Cr4::supervisor_protection_keys, "PKS"),
});

/// [SDM 3A 2.3 "System Flags and Fields in the EFLAGS Register"]
inline constexpr auto rflags_names = std::to_array<BitName>({
    bit_name(arch::Rflags::carry, "CF"),
    bit_name(arch::Rflags::always_one, "bit 1"),
    bit_name(arch::Rflags::parity, "PF"),
    bit_name(arch::Rflags::auxiliary_carry, "AF"),
    bit_name(arch::Rflags::zero, "ZF"),
    bit_name(arch::Rflags::sign, "SF"),
    bit_name(arch::Rflags::trap, "TF"),
    bit_name(arch::Rflags::interrupt_enable, "IF"),
    bit_name(arch::Rflags::direction, "DF"),
    bit_name(arch::Rflags::overflow, "OF"),
    bit_name(arch::Rflags::nested_task, "NT"),
    bit_name(arch::Rflags::resume, "RF"),
    bit_name(arch::Rflags::virtual_8086, "VM"),
    bit_name(arch::Rflags::alignment_check, "AC"),
    bit_name(arch::Rflags::virtual_interrupt, "VIF"),
    bit_name(arch::Rflags::virtual_interrupt_pending, "VIP"),
    bit_name(arch::Rflags::identification, "ID"),
});

/// [SDM 3A 2.2.1 "Extended Feature Enable Register"]
inline constexpr auto efer_names = std::to_array<BitName>({
    bit_name(arch::Efer::syscall_enable, "SCE"),
    bit_name(arch::Efer::long_mode_enable, "LME"),
    bit_name(arch::Efer::long_mode_active, "LMA"),
    bit_name(arch::Efer::execute_disable_enable, "NXE"),
});

/// [SDM 3A 17.4.1 "IA32_DEBUGCTL MSR"]
inline constexpr auto debugctl_names = std::to_array<BitName>({
    {1U << 0, "LBR"},
    {1U << 1, "BTF"},
    {1U << 6, "TR"},
    {1U << 7, "BTS"},
    {1U << 8, "BTINT"},
    {1U << 9, "BTS_OFF_OS"},
    {1U << 10, "BTS_OFF_USR"},
    {1U << 11, "FREEZE_LBRS_ON_PMI"},
    {1U << 12, "FREEZE_PERFMON_ON_PMI"},
    {1U << 13, "ENABLE_UNCORE_PMI"},
    {1U << 14, "FREEZE_WHILE_SMM"},
    {1U << 15, "RTM_DEBUG"},
});

/// [SDM 3C 24.4.2 "Guest Non-Register State", Table 24-3]
inline constexpr auto interruptibility_names = std::to_array<BitName>({
    bit_name(Interruptibility::blocking_by_sti, "blocking by STI"),
    bit_name(Interruptibility::blocking_by_mov_ss, "blocking by MOV SS"),
    bit_name(Interruptibility::blocking_by_smi, "blocking by SMI"),
    bit_name(Interruptibility::blocking_by_nmi, "blocking by NMI"),
    bit_name(Interruptibility::enclave_interruption, "enclave interruption"),
});

/// [SDM 3C 24.4.2 "Guest Non-Register State", Table 24-4]
inline constexpr auto pending_debug_names = std::to_array<BitName>({
    bit_name(PendingDebug::breakpoint_0, "B0"),
    bit_name(PendingDebug::breakpoint_1, "B1"),
    bit_name(PendingDebug::breakpoint_2, "B2"),
    bit_name(PendingDebug::breakpoint_3, "B3"),
    bit_name(PendingDebug::enabled_breakpoint, "enabled breakpoint"),
    bit_name(PendingDebug::single_step, "BS"),
    bit_name(PendingDebug::transactional_region, "RTM"),
});

/// [SDM 3C 24.6.14 "VM-Function Controls"]
inline constexpr std::uint64_t eptp_switching = 1;
inline constexpr auto vm_function_names = std::to_array<BitName>({
    {eptp_switching, "EPTP switching"},
});

/// All of a table's bits.
[[nodiscard]] constexpr std::uint64_t all_bits(std::span<const BitName> names) {
    std::uint64_t bits = 0;
    for (const BitName& one : names) {
        bits |= one.mask;
    }
    return bits;
}

}  // namespace hvp::vmx
