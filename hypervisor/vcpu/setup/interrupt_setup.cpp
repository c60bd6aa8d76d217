// A file of its own, of which a stage without it has no byte.
#include "hypervisor/vcpu/setup/interrupt_setup.hpp"

#include "hypervisor/vmx/adjusted_controls.hpp"

namespace hvp::vmx {

std::expected<void, Failure> enable_interrupt_exiting() {
    constexpr std::uint64_t hlt_state = 1U << 6;
    if ((arch::rdmsr(arch::Msr::vmx_misc) & hlt_state) == 0) {
        static constexpr Explanation why{
            .step = "HLT activity state",
            .rule = {"3D", "A.6", "Miscellaneous Data"},
            .remedy = "this processor cannot enter a guest that sleeps",
        };
        return std::unexpected{not_supported(why)};
    }
    CurrentVmcs vmcs;
    write_controls(vmcs, pin_based_controls,
                   vmcs.read(pin_based_controls) | PinControl::external_interrupt_exiting);
    write_controls(vmcs, exit_controls,
                   vmcs.read(exit_controls) | ExitControl::acknowledge_interrupt_on_exit);
    return written(vmcs);
}

}  // namespace hvp::vmx
