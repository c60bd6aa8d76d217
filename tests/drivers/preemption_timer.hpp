// An exit after a time in the guest, for drivers that test what an exit at any moment does.
#pragma once

#include <cstdint>
#include <expected>

#include "hypervisor/vcpu/session.hpp"
#include "hypervisor/vmcs/current_vmcs.hpp"
#include "hypervisor/vmx/adjusted_controls.hpp"

namespace hvp::tests {

/// Adds to the current VMCS that the guest exits when the timer has counted down from `value`. It
/// goes on counting after other exits.
///
/// Source   [SDM 3C 25.5.1 "VMX-Preemption Timer"]
[[nodiscard]] inline std::expected<void, vmx::Failure> add_preemption_timer(std::uint32_t value) {
    vmx::CurrentVmcs vmcs;
    vmx::write_controls(
        vmcs, vmx::pin_based_controls,
        vmcs.read(vmx::pin_based_controls) | vmx::PinControl::activate_preemption_timer);
    vmx::write_controls(
        vmcs, vmx::exit_controls,
        vmcs.read(vmx::exit_controls) | vmx::ExitControl::save_preemption_timer_value);
    vmcs.write(vmx::guest_preemption_timer_value, value);
    return vmx::written(vmcs);
}

}  // namespace hvp::tests
