// The stage ept-identity with an exit that nobody handles, while its guest waits for the clock.
//
// stages/ept-identity/driver.cpp is compiled once more, with `vpid` replaced by what is here.
#include <cstdint>
#include <expected>

#include "hypervisor/vcpu/session.hpp"
#include "hypervisor/vmcs/current_vmcs.hpp"
#include "hypervisor/vmx/adjusted_controls.hpp"

namespace hvp::vmx {

Feature vpid_and_a_timer(std::uint16_t number) {
    return {.add = [](Session& session, std::uint64_t parameter) -> std::expected<void, Failure> {
                constexpr std::uint32_t soon = 300;
                CurrentVmcs vmcs;
                write_controls(
                    vmcs, pin_based_controls,
                    vmcs.read(pin_based_controls) | PinControl::activate_preemption_timer);
                vmcs.write(guest_preemption_timer_value, soon);
                const Feature tag = vpid(static_cast<std::uint16_t>(parameter));
                return tag.add(session, tag.parameter);
            },
            .parameter = number};
}

}  // namespace hvp::vmx
