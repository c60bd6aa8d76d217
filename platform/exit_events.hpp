// What the VMM has noted, from VMXON to VMXOFF, as events.
#pragma once

#include "hypervisor/exits/handler_table.hpp"
#include "hypervisor/trace/ring.hpp"
#include "hypervisor/vcpu/virtual_processor.hpp"
#include "platform/host.hpp"

namespace hvp::platform {

/// The processor entered VMX operation, and left it; `at` as below.
void trace_vmx_on(const TraceProvider& provider, std::uint64_t at);
void trace_vmx_off(const TraceProvider& provider, std::uint64_t at);
/// VMX operation ended by a departure (hypervisor/vcpu/departure.hpp), with the guest at `rip`.
void trace_departure(const TraceProvider& provider, std::uint64_t rip, std::uint64_t at);

/// A VM entry; `at` is the time-stamp counter when it happened.
void trace_entry(const TraceProvider& provider, std::uint64_t at);

/// An exit, and the entry after it where there was one; or the entry that failed. `names`: those of
/// the table of handlers that the guest had.
///
/// Where    as TraceProvider::write
void trace_exit(const TraceProvider& provider, const trace::ExitEvent& event,
                const vmx::HandlerNames& names = vmx::default_handlers.names);

/// How many exits found the ring full since it was last asked, if any did.
void trace_dropped(const TraceProvider& provider, trace::Ring& ring);

/// Why the guest does not run any more; the exception in the VMM, or the VMCS that VM entry did not
/// take, where that is why.
void trace_ending(const TraceProvider& provider, const vmx::VirtualProcessor& processor);

}  // namespace hvp::platform
