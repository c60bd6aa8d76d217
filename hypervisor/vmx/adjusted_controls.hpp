// Writing a word of controls: what we want, adjusted to what this processor allows.
#pragma once

#include <cstdint>
#include <expected>
#include <type_traits>
#include <utility>

#include "hypervisor/arch/instructions.hpp"
#include "hypervisor/vmcs/control_msrs.hpp"
#include "hypervisor/vmcs/controls.hpp"
#include "hypervisor/vmcs/current_vmcs.hpp"
#include "hypervisor/vmcs/vmx_basic.hpp"
#include "hypervisor/vmx/failure.hpp"

namespace hvp::vmx {

/// Writes one word of controls, or notes in `vmcs` which of them this processor lacks: see
/// `written`.
void write_adjusted(CurrentVmcs& vmcs, std::uint32_t encoding, std::uint32_t wanted,
                    ControlMsrs msrs);

/// The same, with the field's type checked.
template <typename F>
void write_controls(CurrentVmcs& vmcs, F, std::type_identity_t<typename F::Value> wanted) {
    write_adjusted(vmcs, F::encoding, wanted.raw(), msrs_for(wanted));
}

/// What this processor allows of the word of controls that has these MSRs.
[[nodiscard]] ControlCapability capability_of(ControlMsrs msrs);

/// Whether this processor lets a control be 1.
template <typename Control>
[[nodiscard]] bool is_allowed(Control control) {
    return capability_of(msrs_for(arch::Flags{control})).refused(std::to_underlying(control)) == 0;
}

/// Whether everything so far could be written.
///
/// Returns  a Failure with the first field that could not, or with the controls that it lacks
[[nodiscard]] std::expected<void, Failure> written(const CurrentVmcs& vmcs);

}  // namespace hvp::vmx
