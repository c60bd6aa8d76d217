// Asks the capability MSRs.
#include "hypervisor/vmx/control_setup.hpp"

#include <bit>

namespace hvp::vmx {

std::expected<void, Failure> write_adjusted(CurrentVmcs& vmcs, std::uint32_t encoding,
                                            std::uint32_t wanted, arch::Msr plain,
                                            arch::Msr true_capability) {
    const auto basic = std::bit_cast<VmxBasic>(arch::rdmsr(arch::Msr::vmx_basic));
    const auto capability = ControlCapability::from_msr(
        arch::rdmsr(basic.has_true_controls != 0 ? true_capability : plain));
    const std::uint32_t refused = capability.refused(wanted);
    if (refused != 0) {
        static constexpr Explanation why{
            .step = "VMX controls",
            .rule = {"3D", "A.2", "Reserved Controls and Default Settings"},
            .remedy = "this processor lacks the control with this bit",
        };
        return std::unexpected{
            Failure{.kind = FailureKind::not_supported, .why = &why, .number = refused}};
    }
    vmcs.write_raw(encoding, capability.adjusted(wanted));
    return {};
}

std::expected<void, Failure> enable_interrupt_exiting() {
    constexpr std::uint64_t hlt_state = 1U << 6;
    if ((arch::rdmsr(arch::Msr::vmx_misc) & hlt_state) == 0) {
        static constexpr Explanation why{
            .step = "HLT activity state",
            .rule = {"3D", "A.6", "Miscellaneous Data"},
            .remedy = "this processor cannot enter a guest that sleeps",
        };
        return std::unexpected{Failure{.kind = FailureKind::not_supported, .why = &why}};
    }
    CurrentVmcs vmcs;
    const auto pin =
        write_controls(vmcs, pin_based_controls,
                       vmcs.read(pin_based_controls) | PinControl::external_interrupt_exiting,
                       arch::Msr::vmx_pinbased_ctls, arch::Msr::vmx_true_pinbased_ctls);
    if (!pin) {
        return pin;
    }
    return write_controls(vmcs, exit_controls,
                          vmcs.read(exit_controls) | ExitControl::acknowledge_interrupt_on_exit,
                          arch::Msr::vmx_exit_ctls, arch::Msr::vmx_true_exit_ctls);
}

}  // namespace hvp::vmx
