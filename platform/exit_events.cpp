#include "platform/exit_events.hpp"

#include <bit>

#include "hypervisor/vmcs/exit_reason.hpp"

namespace hvp::platform {
namespace {

using trace::HexInt32;
using trace::HexInt64;
using trace::Level;
using trace::Text;
using trace::UInt32;
using trace::UInt64;

constexpr trace::Traits life{.keyword = keyword::life};
constexpr trace::Traits each_exit{.level = Level::verbose, .keyword = keyword::exits};
constexpr trace::Traits failure{.level = Level::error, .keyword = keyword::failures};

// `at` is the time-stamp counter when it happened: the events are written later.
using VmxOn = trace::Event<"VmxOn", life, HexInt64<"at">>;
using VmxOff = trace::Event<"VmxOff", life, HexInt64<"at">>;
using Departed = trace::Event<"Departed", life, HexInt64<"rip">, HexInt64<"at">>;
using VmEntry = trace::Event<"VmEntry", each_exit, HexInt64<"at">>;
using VmExit = trace::Event<"VmExit", each_exit, Text<"reason">, UInt32<"reason_number">,
                            HexInt64<"qualification">, HexInt64<"guest_rip">,
                            UInt32<"instruction_length">, HexInt64<"detail">, Text<"handler">,
                            HexInt32<"injected">, UInt32<"sequence">, HexInt64<"at">>;
using EntryFailure = trace::Event<"EntryFailure", failure, Text<"reason">, UInt32<"reason_number">,
                                  HexInt64<"qualification">, HexInt64<"at">>;
using EventsDropped = trace::Event<"EventsDropped", failure, UInt64<"count">>;

using HostException =
    trace::Event<"HostException", failure, UInt64<"vector">, HexInt64<"error_code">,
                 HexInt64<"rip">, HexInt64<"rsp">, HexInt64<"cr2">, Text<"during">>;
using GuestEnded =
    trace::Event<"GuestEnded", life, Text<"why">, Text<"reason">, HexInt64<"guest_rip">>;

const char* name_of(vmx::StopReason end) {
    switch (end) {
        case vmx::StopReason::none:
            return "nothing";
        case vmx::StopReason::stopped_by_guest:
            return "requested by hypercall";
        case vmx::StopReason::unhandled_exit:
            return "no handler for this exit reason";
        case vmx::StopReason::unhandled_detail:
            return "its handler does not know this form of the exit";
        case vmx::StopReason::triple_fault:
            return "triple fault";
        case vmx::StopReason::entry_refused:
            return "VM entry was refused";
        case vmx::StopReason::entry_failed:
            return "VM entry failed";
        case vmx::StopReason::exception_in_vmm:
            return "exception in the VMM";
        case vmx::StopReason::outside_memory:
            return "access outside the memory that it was given";
        case vmx::StopReason::ept_misconfigured:
            return "EPT misconfiguration";
        case vmx::StopReason::event_refused:
            return "VM entry refuses an event for it";
    }
    return "unknown";
}

}  // namespace

void trace_vmx_on(const TraceProvider& provider, std::uint64_t at) {
    provider.write<VmxOn>(at);
}

void trace_vmx_off(const TraceProvider& provider, std::uint64_t at) {
    provider.write<VmxOff>(at);
}

void trace_departure(const TraceProvider& provider, std::uint64_t rip, std::uint64_t at) {
    provider.write<Departed>(rip, at);
}

void trace_entry(const TraceProvider& provider, std::uint64_t at) {
    provider.write<VmEntry>(at);
}

void trace_exit(const TraceProvider& provider, const trace::ExitEvent& event,
                const vmx::HandlerNames& names) {
    const auto reason = std::bit_cast<vmx::ExitReasonField>(event.reason);
    const char* const name = vmx::exit_reason_name(reason.basic_reason);
    const std::uint32_t number = reason.basic_reason;
    if (reason.entry_failure != 0) {
        provider.write<EntryFailure>(name, number, event.qualification, event.exit_at);
        return;
    }
    // Exits are counted from 1 wherever people see a number.
    provider.write<VmExit>(
        name, number, event.qualification, event.guest_rip, event.instruction_length, event.detail,
        vmx::exit_handler_name(names, number), event.injected, event.sequence + 1, event.exit_at);
    if (event.entry_at != 0) {
        provider.write<VmEntry>(event.entry_at);
    }
}

void trace_dropped(const TraceProvider& provider, trace::Ring& ring) {
    if (const std::uint64_t count = ring.take_dropped(); count != 0) {
        provider.write<EventsDropped>(count);
    }
}

void trace_ending(const TraceProvider& provider, const vmx::VirtualProcessor& processor) {
    const vmx::GuestStop& guest_stop = processor.guest_stop;
    // Without a VM exit there is no reason, and 0 would have a name.
    const char* const reason = guest_stop.why == vmx::StopReason::entry_refused
                                   ? ""
                                   : vmx::exit_reason_name(guest_stop.reason.basic_reason);
    if (guest_stop.why == vmx::StopReason::exception_in_vmm) {
        const vmx::HostTrapReport& trap = guest_stop.trap;
        provider.write<HostException>(trap.vector, trap.error_code, trap.rip, trap.rsp, trap.cr2,
                                      reason);
    }
    if (processor.failed_fields.used != 0) {
        provider.write<VmcsFields>(processor.failed_fields.all());
    }
    provider.write<GuestEnded>(name_of(guest_stop.why), reason, guest_stop.guest_rip);
}

}  // namespace hvp::platform
