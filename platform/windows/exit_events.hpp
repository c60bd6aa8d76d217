// What the VMM has noted in its ring, as events for Windows' event tracing.
#pragma once

#include "hypervisor/trace/ring.hpp"
#include "platform/windows/trace.hpp"

namespace hvp::windows {

/// A VM entry; `at` is the time-stamp counter when it happened.
void trace_entry(const TraceProvider& provider, std::uint64_t at);

/// An exit, and the entry after it where there was one; or the entry that failed.
///
/// Where    as TraceProvider::write
void trace_exit(const TraceProvider& provider, const trace::ExitEvent& event);

/// How many exits found the ring full, if any did.
void trace_dropped(const TraceProvider& provider, const trace::Ring& ring);

}  // namespace hvp::windows
