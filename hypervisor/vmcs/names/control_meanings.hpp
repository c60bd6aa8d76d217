// What each control does when it is 1, in one sentence for people. Only the host's tool and the
// tests include this.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <utility>

#include "hypervisor/vmcs/controls.hpp"
#include "hypervisor/vmcs/names/field_names.hpp"

namespace hvp::vmx {

/// One control and its effect.
struct ControlMeaning {
    std::uint32_t mask;
    const char* effect;
};

template <typename Control>
[[nodiscard]] constexpr ControlMeaning meaning(Control control, const char* effect) {
    return {std::to_underlying(control), effect};
}

/// [SDM 3C 24.6.1 "Pin-Based VM-Execution Controls"]
inline constexpr auto pin_control_meanings = std::to_array<ControlMeaning>({
    meaning(PinControl::external_interrupt_exiting,
            "an external interrupt is a VM exit, not the guest's"),
    meaning(PinControl::nmi_exiting, "an NMI is a VM exit, not the guest's"),
    meaning(PinControl::virtual_nmis,
            "blocking by NMI is the guest's own: IRET ends it, and NMI-window exiting is possible"),
    meaning(PinControl::activate_preemption_timer,
            "a timer in the VMCS counts down in the guest; at 0 there is a VM exit"),
    meaning(
        PinControl::process_posted_interrupts,
        "interrupts with the notification vector are taken from the posted-interrupt descriptor"),
});

/// [SDM 3C 24.6.2 "Processor-Based VM-Execution Controls", Table 24-6]
inline constexpr auto primary_control_meanings = std::to_array<ControlMeaning>({
    meaning(PrimaryControl::interrupt_window_exiting,
            "a VM exit as soon as the guest can take an interrupt"),
    meaning(PrimaryControl::use_tsc_offsetting, "the guest reads the TSC plus the TSC offset"),
    meaning(PrimaryControl::hlt_exiting, "HLT is a VM exit"),
    meaning(PrimaryControl::invlpg_exiting, "INVLPG and INVPCID are VM exits"),
    meaning(PrimaryControl::mwait_exiting, "MWAIT is a VM exit"),
    meaning(PrimaryControl::rdpmc_exiting, "RDPMC is a VM exit"),
    meaning(PrimaryControl::rdtsc_exiting, "RDTSC and RDTSCP are VM exits"),
    meaning(PrimaryControl::cr3_load_exiting,
            "MOV to CR3 is a VM exit, unless the value is a CR3-target value"),
    meaning(PrimaryControl::cr3_store_exiting, "MOV from CR3 is a VM exit"),
    meaning(PrimaryControl::activate_tertiary_controls,
            "the tertiary controls count; otherwise they are as if 0"),
    meaning(PrimaryControl::cr8_load_exiting, "MOV to CR8 is a VM exit"),
    meaning(PrimaryControl::cr8_store_exiting, "MOV from CR8 is a VM exit"),
    meaning(PrimaryControl::use_tpr_shadow,
            "MOV to and from CR8 use the TPR of the virtual-APIC page"),
    meaning(PrimaryControl::nmi_window_exiting, "a VM exit as soon as no virtual NMI is blocked"),
    meaning(PrimaryControl::mov_dr_exiting, "MOV to and from debug registers is a VM exit"),
    meaning(PrimaryControl::unconditional_io_exiting,
            "each I/O instruction is a VM exit, unless the I/O bitmaps are in use"),
    meaning(PrimaryControl::use_io_bitmaps, "the I/O bitmaps say which ports cause VM exits"),
    meaning(PrimaryControl::monitor_trap_flag, "a VM exit after each instruction of the guest"),
    meaning(PrimaryControl::use_msr_bitmaps,
            "the MSR bitmaps say which RDMSR and WRMSR are VM exits; otherwise all are"),
    meaning(PrimaryControl::monitor_exiting, "MONITOR is a VM exit"),
    meaning(PrimaryControl::pause_exiting, "PAUSE is a VM exit"),
    meaning(PrimaryControl::activate_secondary_controls,
            "the secondary controls count; otherwise they are as if 0"),
});

/// [SDM 3C 24.6.2 "Processor-Based VM-Execution Controls", Table 24-7]
inline constexpr auto secondary_control_meanings = std::to_array<ControlMeaning>({
    meaning(SecondaryControl::virtualize_apic_accesses,
            "accesses to the APIC-access page are virtualized or are VM exits"),
    meaning(SecondaryControl::enable_ept,
            "guest-physical addresses are translated by the EPT of the EPT pointer"),
    meaning(SecondaryControl::descriptor_table_exiting,
            "LGDT, LIDT, LLDT, LTR, SGDT, SIDT, SLDT and STR are VM exits"),
    meaning(SecondaryControl::enable_rdtscp, "the guest has RDTSCP and RDPID; otherwise #UD"),
    meaning(SecondaryControl::virtualize_x2apic_mode,
            "RDMSR and WRMSR of x2APIC registers use the virtual-APIC page"),
    meaning(SecondaryControl::enable_vpid,
            "cached translations of the guest have a tag, and stay over VM entries and exits"),
    meaning(SecondaryControl::wbinvd_exiting, "WBINVD is a VM exit"),
    meaning(SecondaryControl::unrestricted_guest,
            "the guest may run without paging, and in real-address mode"),
    meaning(SecondaryControl::apic_register_virtualization,
            "reads of most APIC registers come from the virtual-APIC page"),
    meaning(SecondaryControl::virtual_interrupt_delivery,
            "the processor evaluates and delivers pending virtual interrupts itself"),
    meaning(SecondaryControl::pause_loop_exiting,
            "a loop of PAUSE is a VM exit, by PLE_Gap and PLE_Window"),
    meaning(SecondaryControl::rdrand_exiting, "RDRAND is a VM exit"),
    meaning(SecondaryControl::enable_invpcid, "the guest has INVPCID; otherwise #UD"),
    meaning(SecondaryControl::enable_vm_functions, "VMFUNC works in the guest; otherwise #UD"),
    meaning(SecondaryControl::vmcs_shadowing,
            "VMREAD and VMWRITE in the guest may use a shadow VMCS"),
    meaning(SecondaryControl::enable_encls_exiting,
            "the ENCLS-exiting bitmap says which ENCLS are VM exits"),
    meaning(SecondaryControl::rdseed_exiting, "RDSEED is a VM exit"),
    meaning(SecondaryControl::enable_pml,
            "a write that sets an EPT dirty flag notes the address in the page-modification log"),
    meaning(SecondaryControl::ept_violation_exception,
            "an EPT violation may be #VE in the guest instead of a VM exit"),
    meaning(SecondaryControl::conceal_vmx_from_pt, "Intel PT does not tell of VMX operation"),
    meaning(SecondaryControl::enable_xsaves, "the guest has XSAVES and XRSTORS; otherwise #UD"),
    meaning(SecondaryControl::mode_based_execute_control,
            "EPT has execute rights for user mode and supervisor mode each"),
    meaning(SecondaryControl::sub_page_write_permissions,
            "EPT can allow writes to parts of 128 bytes of a page"),
    meaning(SecondaryControl::use_tsc_scaling, "the guest reads the TSC times the TSC multiplier"),
    meaning(SecondaryControl::enable_user_wait_and_pause,
            "the guest has TPAUSE, UMONITOR and UMWAIT; otherwise #UD"),
    meaning(SecondaryControl::enable_pconfig, "the guest has PCONFIG; otherwise #UD"),
});

/// [SDM 3C 24.7.1 "VM-Exit Controls"]; those from bit 25 up are newer.
inline constexpr auto exit_control_meanings = std::to_array<ControlMeaning>({
    meaning(ExitControl::save_debug_controls, "DR7 and IA32_DEBUGCTL are saved at VM exits"),
    meaning(ExitControl::host_address_space_size, "the VMM is 64-bit code"),
    meaning(ExitControl::load_perf_global_ctrl, "IA32_PERF_GLOBAL_CTRL is loaded at VM exits"),
    meaning(ExitControl::acknowledge_interrupt_on_exit,
            "the vector of an external interrupt that causes a VM exit is in the VMCS"),
    meaning(ExitControl::save_pat, "IA32_PAT is saved at VM exits"),
    meaning(ExitControl::load_pat, "IA32_PAT is loaded at VM exits"),
    meaning(ExitControl::save_efer, "IA32_EFER is saved at VM exits"),
    meaning(ExitControl::load_efer, "IA32_EFER is loaded at VM exits"),
    meaning(ExitControl::save_preemption_timer_value,
            "the VMX-preemption timer's value is saved at VM exits"),
    meaning(ExitControl::clear_bndcfgs, "IA32_BNDCFGS is cleared at VM exits"),
    meaning(ExitControl::conceal_vmx_from_pt, "Intel PT does not tell of VM exits"),
    meaning(ExitControl::clear_rtit_ctl, "IA32_RTIT_CTL is cleared at VM exits"),
    meaning(ExitControl::load_cet_state, "the CET MSRs and SSP are loaded at VM exits"),
    meaning(ExitControl::load_pkrs, "IA32_PKRS is loaded at VM exits"),
});

/// [SDM 3C 24.8.1 "VM-Entry Controls"]; those from bit 18 up are newer.
inline constexpr auto entry_control_meanings = std::to_array<ControlMeaning>({
    meaning(EntryControl::load_debug_controls, "DR7 and IA32_DEBUGCTL are loaded at VM entry"),
    meaning(EntryControl::ia32e_mode_guest, "the guest is in IA-32e mode after VM entry"),
    meaning(EntryControl::entry_to_smm, "the guest is in system-management mode after VM entry"),
    meaning(EntryControl::deactivate_dual_monitor,
            "the default treatment of SMIs is in use after VM entry"),
    meaning(EntryControl::load_perf_global_ctrl, "IA32_PERF_GLOBAL_CTRL is loaded at VM entry"),
    meaning(EntryControl::load_pat, "IA32_PAT is loaded at VM entry"),
    meaning(EntryControl::load_efer, "IA32_EFER is loaded at VM entry"),
    meaning(EntryControl::load_bndcfgs, "IA32_BNDCFGS is loaded at VM entry"),
    meaning(EntryControl::conceal_vmx_from_pt, "Intel PT does not tell of VM entries"),
    meaning(EntryControl::load_rtit_ctl, "IA32_RTIT_CTL is loaded at VM entry"),
    meaning(EntryControl::load_cet_state, "the CET MSRs and SSP are loaded at VM entry"),
    meaning(EntryControl::load_pkrs, "IA32_PKRS is loaded at VM entry"),
});

/// Returns  the meanings of a word of controls; none for other shapes
[[nodiscard]] constexpr std::span<const ControlMeaning> control_meanings(Shape shape) {
    switch (shape) {
        case Shape::pin_controls:
            return pin_control_meanings;
        case Shape::primary_controls:
            return primary_control_meanings;
        case Shape::secondary_controls:
            return secondary_control_meanings;
        case Shape::exit_controls:
            return exit_control_meanings;
        case Shape::entry_controls:
            return entry_control_meanings;
        default:
            return {};
    }
}

}  // namespace hvp::vmx
