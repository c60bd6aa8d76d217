// The controls of a VMCS, and how to find a setting that both we and the processor agree to.
//
// For each word of controls the processor has a capability MSR. Its low half has a 1 where the
// control must be 1, its high half a 0 where it must be 0. What a VMM wants and what the processor
// allows are two things: the first is adjusted to the second, and then it must be verified that
// every control that was *wanted* survived.  [SDM 3D A.2 "Reserved Controls and Default Settings"]
#pragma once

#include <cstdint>
#include <type_traits>

#include "hypervisor/arch/flags.hpp"

namespace hvp::vmx {

/// [SDM 3C 24.6.1 "Pin-Based VM-Execution Controls"]
enum class PinControl : std::uint32_t {
    external_interrupt_exiting = 1U << 0,
    nmi_exiting = 1U << 3,
    virtual_nmis = 1U << 5,
    activate_preemption_timer = 1U << 6,
    process_posted_interrupts = 1U << 7,
};

/// [SDM 3C 24.6.2 "Processor-Based VM-Execution Controls", Table 24-6]
enum class PrimaryControl : std::uint32_t {
    interrupt_window_exiting = 1U << 2,
    use_tsc_offsetting = 1U << 3,
    hlt_exiting = 1U << 7,
    invlpg_exiting = 1U << 9,
    mwait_exiting = 1U << 10,
    rdpmc_exiting = 1U << 11,
    rdtsc_exiting = 1U << 12,
    cr3_load_exiting = 1U << 15,
    cr3_store_exiting = 1U << 16,
    activate_tertiary_controls = 1U << 17,  ///< newer than our edition
    cr8_load_exiting = 1U << 19,
    cr8_store_exiting = 1U << 20,
    use_tpr_shadow = 1U << 21,
    nmi_window_exiting = 1U << 22,
    mov_dr_exiting = 1U << 23,
    unconditional_io_exiting = 1U << 24,
    use_io_bitmaps = 1U << 25,
    monitor_trap_flag = 1U << 27,
    use_msr_bitmaps = 1U << 28,
    monitor_exiting = 1U << 29,
    pause_exiting = 1U << 30,
    activate_secondary_controls = 1U << 31,
};

/// [SDM 3C 24.6.2 "Processor-Based VM-Execution Controls", Table 24-7]. Their capability MSR has no
/// TRUE form: all of them may be 0.
enum class SecondaryControl : std::uint32_t {
    virtualize_apic_accesses = 1U << 0,
    enable_ept = 1U << 1,
    descriptor_table_exiting = 1U << 2,
    enable_rdtscp = 1U << 3,
    virtualize_x2apic_mode = 1U << 4,
    enable_vpid = 1U << 5,
    wbinvd_exiting = 1U << 6,
    unrestricted_guest = 1U << 7,
    apic_register_virtualization = 1U << 8,
    virtual_interrupt_delivery = 1U << 9,
    pause_loop_exiting = 1U << 10,
    rdrand_exiting = 1U << 11,
    enable_invpcid = 1U << 12,
    enable_vm_functions = 1U << 13,
    vmcs_shadowing = 1U << 14,
    enable_encls_exiting = 1U << 15,
    rdseed_exiting = 1U << 16,
    enable_pml = 1U << 17,
    ept_violation_exception = 1U << 18,  ///< "EPT-violation #VE"
    conceal_vmx_from_pt = 1U << 19,
    enable_xsaves = 1U << 20,
    mode_based_execute_control = 1U << 22,
    sub_page_write_permissions = 1U << 23,
    use_tsc_scaling = 1U << 25,
    enable_user_wait_and_pause = 1U << 26,  ///< newer than our edition, as the next
    enable_pconfig = 1U << 27,
};

/// [SDM 3C 24.7.1 "VM-Exit Controls"]
enum class ExitControl : std::uint32_t {
    save_debug_controls = 1U << 2,
    host_address_space_size = 1U << 9,
    load_perf_global_ctrl = 1U << 12,
    acknowledge_interrupt_on_exit = 1U << 15,
    save_pat = 1U << 18,
    load_pat = 1U << 19,
    save_efer = 1U << 20,
    load_efer = 1U << 21,
    save_preemption_timer_value = 1U << 22,
    clear_bndcfgs = 1U << 23,
    conceal_vmx_from_pt = 1U << 24,
    clear_rtit_ctl = 1U << 25,
    load_cet_state = 1U << 28,
    load_pkrs = 1U << 29,
};

/// [SDM 3C 24.8.1 "VM-Entry Controls"]
enum class EntryControl : std::uint32_t {
    load_debug_controls = 1U << 2,
    ia32e_mode_guest = 1U << 9,
    entry_to_smm = 1U << 10,
    deactivate_dual_monitor = 1U << 11,
    load_perf_global_ctrl = 1U << 13,
    load_pat = 1U << 14,
    load_efer = 1U << 15,
    load_bndcfgs = 1U << 16,
    conceal_vmx_from_pt = 1U << 17,
    load_rtit_ctl = 1U << 18,
    load_cet_state = 1U << 20,
    load_pkrs = 1U << 22,
};

template <typename Control>
constexpr arch::Flags<Control> operator|(Control a, Control b)
    requires std::is_scoped_enum_v<Control>
{
    return arch::Flags<Control>{a} | arch::Flags<Control>{b};
}

/// One capability MSR for VMX controls.  [SDM 3D A.3.1 "Pin-Based VM-Execution Controls"]
struct ControlCapability {
    std::uint32_t must_be_one;  ///< bits 31:0 of the MSR, the "allowed 0-settings"
    std::uint32_t may_be_one;   ///< bits 63:32, the "allowed 1-settings"

    [[nodiscard]] static constexpr ControlCapability from_msr(std::uint64_t value) {
        return {.must_be_one = static_cast<std::uint32_t>(value),
                .may_be_one = static_cast<std::uint32_t>(value >> 32)};
    }

    /// The controls that are wanted but not allowed. Where there are any, give up: a VMM that goes
    /// on without them runs, and behaves in a way that nobody planned.
    [[nodiscard]] constexpr std::uint32_t refused(std::uint32_t wanted) const {
        return wanted & ~may_be_one;
    }

    /// The setting closest to `wanted` that the processor takes.
    /// [SDM 3D A.2 "Reserved Controls and Default Settings"]
    [[nodiscard]] constexpr std::uint32_t adjusted(std::uint32_t wanted) const {
        return (wanted | must_be_one) & may_be_one;
    }
};

}  // namespace hvp::vmx
