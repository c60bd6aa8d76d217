// What a run of this stage notes, and reports afterwards.
#pragma once

#include <cstdint>
#include <expected>

#include "hypervisor/vcpu/timestamps.hpp"
#include "hypervisor/vcpu/virtual_processor.hpp"
#include "hypervisor/vmcs/vmx_basic.hpp"
#include "hypervisor/vmx/failure.hpp"
#include "platform/host.hpp"
#include "stages/guest-state/guest.hpp"

namespace hvp::guest_state {

/// When the driver did what, and what the guest did. The exits are in the virtual processor's ring.
struct Journal {
    std::uint64_t supported_at{};
    vmx::VmxBasic basic{};
    vmx::Timestamps timestamps{};
    Mailbox mailbox{};
};

/// Writes it as events, in the order in which the things happened, and empties the ring.
///
/// Returns  a Failure if the guest did not come to its end, or an exit changed a register
/// Where    PASSIVE_LEVEL, outside VMX operation
[[nodiscard]] std::expected<void, vmx::Failure> report(const platform::TraceProvider& provider,
                                                       const Journal& journal,
                                                       vmx::VirtualProcessor& processor);

}  // namespace hvp::guest_state
