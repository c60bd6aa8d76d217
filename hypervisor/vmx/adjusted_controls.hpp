// Writing a word of controls: what we want, adjusted to what this processor allows.
#pragma once

#include <cstdint>
#include <expected>
#include <type_traits>
#include <utility>

#include "hypervisor/arch/instructions.hpp"
#include "hypervisor/arch/msr.hpp"
#include "hypervisor/vmcs/controls.hpp"
#include "hypervisor/vmcs/current_vmcs.hpp"
#include "hypervisor/vmcs/vmx_basic.hpp"
#include "hypervisor/vmx/failure.hpp"

namespace hvp::vmx {

/// Which MSRs say what a word of controls may hold. The TRUE one, where the processor has it,
/// leaves more controls to our choice.  [SDM 3D A.2 "Reserved Controls and Default Settings"]
struct ControlMsrs {
    arch::Msr plain;
    arch::Msr true_capability;
};
[[nodiscard]] constexpr ControlMsrs msrs_for(arch::Flags<PinControl>) {
    return {arch::Msr::vmx_pinbased_ctls, arch::Msr::vmx_true_pinbased_ctls};
}
[[nodiscard]] constexpr ControlMsrs msrs_for(arch::Flags<PrimaryControl>) {
    return {arch::Msr::vmx_procbased_ctls, arch::Msr::vmx_true_procbased_ctls};
}
[[nodiscard]] constexpr ControlMsrs msrs_for(arch::Flags<SecondaryControl>) {
    return {arch::Msr::vmx_procbased_ctls2, arch::Msr::vmx_procbased_ctls2};
}
[[nodiscard]] constexpr ControlMsrs msrs_for(arch::Flags<ExitControl>) {
    return {arch::Msr::vmx_exit_ctls, arch::Msr::vmx_true_exit_ctls};
}
[[nodiscard]] constexpr ControlMsrs msrs_for(arch::Flags<EntryControl>) {
    return {arch::Msr::vmx_entry_ctls, arch::Msr::vmx_true_entry_ctls};
}

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
