// What a run of this stage notes, and reports afterwards.
#pragma once

#include <expected>

#include "hypervisor/vcpu/virtual_processor.hpp"
#include "hypervisor/vmx/failure.hpp"
#include "platform/host.hpp"
#include "stages/event-injection/guest.hpp"
#include "stages/shared/journal.hpp"

namespace hvp::event_injection {

using Journal = stages::Journal<Mailbox>;

/// Writes it as events, in the order in which the things happened, and empties the ring.
///
/// Returns  a Failure if the guest did not come to its end, or met anything that is not as on a
///          processor outside VMX operation
/// Where    PASSIVE_LEVEL, outside VMX operation
[[nodiscard]] std::expected<void, vmx::Failure> report(const platform::TraceProvider& provider,
                                                       const Journal& journal,
                                                       vmx::VirtualProcessor& processor);

}  // namespace hvp::event_injection
