// What a run of this stage notes, and reports afterwards.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>

#include "hypervisor/vcpu/session.hpp"
#include "hypervisor/vmcs/vmx_basic.hpp"
#include "platform/host.hpp"
#include "stages/ept/memory.hpp"

namespace hvp::ept_stage {

/// What this processor's VT-x and EPT are like.
void report_support(const platform::TraceProvider& provider, const vmx::VmxBasic& basic,
                    const ept::Limits& limits, std::uint64_t at);

/// The pages that the guest needs, one by one.
void report_needed(const platform::TraceProvider& provider, const Memory& memory);

/// That a guest starts, and with what: `starts_with` is a part of a sentence.
void report_guest(const platform::TraceProvider& provider, const char* starts_with,
                  const Memory& memory);

/// What happened with it, in the order in which it happened; empties the ring.
///
/// Where    PASSIVE_LEVEL, outside VMX operation, the guest's EPT still there
void report_run(const platform::TraceProvider& provider, const vmx::Session& session,
                const Memory& memory);

// Whether the guests went as they must; each writes what it compares as an event.

/// The first guest: as many violations as predicted, in the predicted order?
[[nodiscard]] bool verify_touched(const platform::TraceProvider& provider, const Memory& memory,
                                  const vmx::GuestStop& guest_stop);
/// The second: did it see what the VMM showed?
[[nodiscard]] bool verify_views(const platform::TraceProvider& provider, const Memory& memory,
                                const vmx::GuestStop& guest_stop);
/// The third: was it stopped, at the page that it must not read?
[[nodiscard]] bool verify_stopped(const platform::TraceProvider& provider, const Memory& memory,
                                  const vmx::GuestStop& guest_stop);

/// What DriverEntry returns for that: `wrong` is the first guest that was not right, by its number
/// in `guests`.
[[nodiscard]] std::expected<void, vmx::Failure> result(std::optional<std::size_t> wrong);

}  // namespace hvp::ept_stage
