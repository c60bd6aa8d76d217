#include "hypervisor/vmx/guest_instructions.hpp"

#include <bit>

#include "hypervisor/vmx/adjusted_controls.hpp"

namespace hvp::vmx {
namespace {

ControlCapability secondary_capability() {
    const auto basic = std::bit_cast<VmxBasic>(arch::rdmsr(arch::Msr::vmx_basic));
    const ControlMsrs msrs = msrs_for(arch::Flags<PrimaryControl>{});
    const auto primary = ControlCapability::from_msr(
        arch::rdmsr(basic.has_true_controls != 0 ? msrs.true_capability : msrs.plain));
    // The MSR exists only where the primary control may be 1.
    // [SDM 3D A.3.3 "Secondary Processor-Based VM-Execution Controls"]
    const auto activate = std::to_underlying(PrimaryControl::activate_secondary_controls);
    return primary.refused(activate) != 0
               ? ControlCapability{}
               : ControlCapability::from_msr(arch::rdmsr(arch::Msr::vmx_procbased_ctls2));
}

}  // namespace

void give_instructions(CurrentVmcs& vmcs) {
    const std::uint32_t allowed = secondary_capability().may_be_one;
    if (allowed == 0) {
        return;
    }
    const arch::Flags<SecondaryControl> given{instructions_for_guests.raw() & allowed};
    vmcs.write(primary_processor_based_controls, vmcs.read(primary_processor_based_controls) |
                                                     PrimaryControl::activate_secondary_controls);
    vmcs.write(secondary_processor_based_controls, given);
    if (given.has(SecondaryControl::enable_xsaves)) {
        vmcs.write(xss_exiting_bitmap, 0);
    }
}

}  // namespace hvp::vmx
