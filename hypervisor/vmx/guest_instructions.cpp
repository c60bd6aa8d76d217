#include "hypervisor/vmx/guest_instructions.hpp"

#include "hypervisor/vmx/adjusted_controls.hpp"

namespace hvp::vmx {
void give_instructions(CurrentVmcs& vmcs) {
    // The MSR exists only where the primary control may be 1.
    // [SDM 3D A.3.3 "Secondary Processor-Based VM-Execution Controls"]
    if (!is_allowed(PrimaryControl::activate_secondary_controls)) {
        return;
    }
    const std::uint32_t allowed =
        capability_of(msrs_for(arch::Flags<SecondaryControl>{})).may_be_one;
    const arch::Flags<SecondaryControl> given{instructions_for_guests.raw() & allowed};
    vmcs.write(primary_processor_based_controls, vmcs.read(primary_processor_based_controls) |
                                                     PrimaryControl::activate_secondary_controls);
    vmcs.write(secondary_processor_based_controls, given);
    if (given.has(SecondaryControl::enable_xsaves)) {
        vmcs.write(xss_exiting_bitmap, 0);
    }
}

}  // namespace hvp::vmx
