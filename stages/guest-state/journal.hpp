// What a run of this stage notes, and reports afterwards.
#pragma once

#include <expected>

#include "hypervisor/vcpu/virtual_processor.hpp"
#include "hypervisor/vmx/failure.hpp"
#include "platform/host.hpp"
#include "stages/guest-state/guest.hpp"
#include "stages/shared/journal.hpp"

namespace hvp::guest_state {

using Journal = stages::Journal<Mailbox>;

/// Writes it as events, in the order in which the things happened, and empties the ring.
///
/// Returns  a Failure if the guest did not come to its end, or an exit changed a register
/// Where    PASSIVE_LEVEL, outside VMX operation
[[nodiscard]] std::expected<void, vmx::Failure> report(const platform::TraceProvider& provider,
                                                       const Journal& journal,
                                                       vmx::VirtualProcessor& processor);

}  // namespace hvp::guest_state
