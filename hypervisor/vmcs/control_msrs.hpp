// The capability MSRs of the controls.
#pragma once

#include "hypervisor/arch/msr.hpp"
#include "hypervisor/vmcs/controls.hpp"

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

}  // namespace hvp::vmx
