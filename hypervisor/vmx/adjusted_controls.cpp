// Asks the capability MSRs.
#include "hypervisor/vmx/adjusted_controls.hpp"

#include <bit>

#include "hypervisor/vmx/vmx_operation.hpp"

namespace hvp::vmx {

ControlCapability capability_of(ControlMsrs msrs) {
    const auto basic = std::bit_cast<VmxBasic>(arch::rdmsr(arch::Msr::vmx_basic));
    return ControlCapability::from_msr(
        arch::rdmsr(basic.has_true_controls != 0 ? msrs.true_capability : msrs.plain));
}

void write_adjusted(CurrentVmcs& vmcs, std::uint32_t encoding, std::uint32_t wanted,
                    ControlMsrs msrs) {
    const ControlCapability capability = capability_of(msrs);
    if (const std::uint32_t missing = capability.refused(wanted); missing != 0) {
        vmcs.note_missing_controls(encoding, missing);
        return;
    }
    vmcs.write_raw(encoding, capability.adjusted(wanted));
}

std::expected<void, Failure> written(const CurrentVmcs& vmcs) {
    const auto refused = vmcs.refused();
    if (!refused) {
        return {};
    }
    if (refused->missing_controls != 0) {
        static constexpr Explanation why{
            .step = "VMX controls",
            .rule = {"3D", "A.2", "Reserved Controls and Default Settings"},
            .remedy = "this processor lacks the control with this bit",
        };
        return std::unexpected{Failure{
            .kind = FailureKind::not_supported, .why = &why, .number = refused->missing_controls}};
    }
    static constexpr Explanation why{
        .step = "VMWRITE",
        .rule = {"3C", "24.11.2", "VMREAD, VMWRITE, and Encodings of VMCS Fields"},
        .remedy = "no VMCS is current, or the processor lacks this field",
    };
    return instruction_failed(why, refused->result, refused->encoding);
}

}  // namespace hvp::vmx
