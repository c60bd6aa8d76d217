// What a run of this stage reports.
#pragma once

#include <cstddef>
#include <expected>

#include "hypervisor/vcpu/session.hpp"
#include "hypervisor/vmx/failure.hpp"
#include "platform/host.hpp"
#include "stages/ept-identity/memory.hpp"

namespace hvp::identity_stage {

/// What the identity is made of, as its tables were before anything was hidden.
void report_identity(const platform::TraceProvider& provider, const ept::Limits& limits,
                     const VmmPages& vmm, std::size_t hidden_pages);

/// What happened, in the order in which it happened; empties the ring.
///
/// Where    PASSIVE_LEVEL, outside VMX operation
void report_run(const platform::TraceProvider& provider, const vmx::Session& session,
                const StageMemory& memory);

/// Compares what the guest found with what it must find; each comparison is an event.
[[nodiscard]] std::expected<void, vmx::Failure> verify(const platform::TraceProvider& provider,
                                                       const vmx::Session& session,
                                                       const StageMemory& memory);

}  // namespace hvp::identity_stage
