// Asks the capability MSRs.
#include "hypervisor/vmx/adjusted_controls.hpp"

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

}  // namespace hvp::vmx
