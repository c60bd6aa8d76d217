#include "platform/windows/exit_events.hpp"

#include <bit>

#include "hypervisor/vmx/exit_handlers.hpp"
#include "hypervisor/vmx/exit_reason.hpp"

namespace hvp::windows {
namespace {

using trace::HexInt64;
using trace::Level;
using trace::Text;
using trace::UInt32;
using trace::UInt64;

constexpr trace::Traits each_exit{.level = Level::verbose, .keyword = keyword::exits};
constexpr trace::Traits failure{.level = Level::error, .keyword = keyword::failures};

using VmEntry = trace::Event<"VmEntry", each_exit, HexInt64<"at">>;
using VmExit =
    trace::Event<"VmExit", each_exit, Text<"reason">, UInt32<"reason_number">,
                 HexInt64<"qualification">, HexInt64<"guest_rip">, UInt32<"instruction_length">,
                 HexInt64<"detail">, Text<"handler">, UInt32<"sequence">, HexInt64<"at">>;
using EntryFailure = trace::Event<"EntryFailure", failure, Text<"reason">, UInt32<"reason_number">,
                                  HexInt64<"qualification">, HexInt64<"at">>;
using EventsDropped = trace::Event<"EventsDropped", failure, UInt64<"count">>;

}  // namespace

void trace_entry(const TraceProvider& provider, std::uint64_t at) {
    provider.write<VmEntry>(at);
}

void trace_exit(const TraceProvider& provider, const trace::ExitEvent& event) {
    const auto reason = std::bit_cast<vmx::ExitReasonField>(event.reason);
    const char* const name = vmx::exit_reason_name(reason.basic_reason);
    const std::uint32_t number = reason.basic_reason;
    if (reason.entry_failure != 0) {
        provider.write<EntryFailure>(name, number, event.qualification, event.exit_at);
        return;
    }
    provider.write<VmExit>(name, number, event.qualification, event.guest_rip,
                           event.instruction_length, event.detail, vmx::exit_handler_name(number),
                           event.sequence, event.exit_at);
    if (event.entry_at != 0) {
        provider.write<VmEntry>(event.entry_at);
    }
}

void trace_dropped(const TraceProvider& provider, const trace::Ring& ring) {
    if (ring.dropped() != 0) {
        provider.write<EventsDropped>(ring.dropped());
    }
}

}  // namespace hvp::windows
