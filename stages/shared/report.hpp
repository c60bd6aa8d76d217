// The part of a stage's report that is the same in all of them: what the ring holds.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

#include "hypervisor/trace/ring.hpp"
#include "hypervisor/vcpu/session.hpp"
#include "hypervisor/vcpu/virtual_processor.hpp"
#include "platform/exit_events.hpp"
#include "platform/host.hpp"

namespace hvp::stages {

inline constexpr trace::Traits lifecycle{.keyword = platform::keyword::life};
inline constexpr trace::Traits each_exit{.level = trace::Level::verbose,
                                         .keyword = platform::keyword::exits};
inline constexpr trace::Traits failure{.level = trace::Level::error,
                                       .keyword = platform::keyword::failures};

[[nodiscard]] constexpr const char* yes_or_no(bool yes) {
    return yes ? "yes" : "no";
}

/// Writes every exit as an event, and calls `after_exit` with each; empties the ring. `names`:
/// those of the table of handlers that the guest had.
template <typename AfterExit>
void report_exits(const platform::TraceProvider& provider, const vmx::VirtualProcessor& processor,
                  AfterExit after_exit,
                  const vmx::HandlerNames& names = vmx::default_handlers.names) {
    trace::ExitEvent event{};
    while (processor.ring->read(event)) {
        platform::trace_exit(provider, event, names);
        after_exit(event);
    }
    platform::trace_dropped(provider, *processor.ring);
}

/// Whether an EPT violation that the VMM has noted is that of this exit. With a full ring exits are
/// missing, so their order says nothing.
[[nodiscard]] inline bool is_about(const ept::GuestMemoryEvent& violation,
                                   const trace::ExitEvent& exit) {
    return violation.guest_physical.raw() == exit.detail &&
           violation.guest_rip.raw() == exit.guest_rip &&
           std::bit_cast<std::uint64_t>(violation.qualification) == exit.qualification;
}

/// Returns  of `notes`, from `next` on, the one about this exit, and moves `next` after it; nullptr
///          if there is none
template <typename Note>
[[nodiscard]] const Note* note_about(const trace::ExitEvent& exit, std::span<const Note> notes,
                                     std::size_t& next) {
    for (std::size_t i = next; i < notes.size(); ++i) {
        if (is_about(notes[i].event, exit)) {
            next = i + 1;
            return &notes[i];
        }
    }
    return nullptr;
}

/// How VMX operation ended: with the host system's state, or by a departure.
inline void report_vmx_off(const platform::TraceProvider& provider,
                           const vmx::Timestamps& timestamps,
                           const vmx::VirtualProcessor& processor) {
    if (processor.departed) {
        platform::trace_departure(provider, processor.guest_stop.guest_rip, timestamps.left_at);
    } else {
        platform::trace_vmx_off(provider, timestamps.left_at);
    }
}

/// A guest from VMXON to VMXOFF. `names`: those of its table of handlers.
template <typename AfterExit>
void report_run(const platform::TraceProvider& provider, const vmx::Timestamps& timestamps,
                const vmx::VirtualProcessor& processor, AfterExit after_exit,
                const vmx::HandlerNames& names = vmx::default_handlers.names) {
    platform::trace_vmx_on(provider, timestamps.vmxon_at);
    platform::trace_entry(provider, timestamps.vm_entry_at);
    report_exits(provider, processor, after_exit, names);
    platform::trace_ending(provider, processor);
    report_vmx_off(provider, timestamps, processor);
}

}  // namespace hvp::stages
