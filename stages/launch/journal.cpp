#include "stages/launch/journal.hpp"

#include "stages/launch/collatz.hpp"

namespace hvp::launch {
namespace {

using platform::TraceProvider;
using trace::HexInt64;
using trace::Level;
using trace::Text;
using trace::UInt32;
using trace::UInt64;
namespace keyword = platform::keyword;

constexpr trace::Traits lifecycle{.keyword = keyword::life};
constexpr trace::Traits each_exit{.level = Level::verbose, .keyword = keyword::exits};
constexpr trace::Traits failure{.level = Level::error, .keyword = keyword::failures};

// `at` is the time-stamp counter when it happened: the events are written later.
using VmxOn = trace::Event<"VmxOn", lifecycle, HexInt64<"at">>;
using VmxOff = trace::Event<"VmxOff", lifecycle, HexInt64<"at">>;
using VmEntry = trace::Event<"VmEntry", each_exit, HexInt64<"at">>;
using GuestRuns = trace::Event<"GuestRuns", each_exit, HexInt64<"rsp">, HexInt64<"at">>;
using VmExit = trace::Event<"VmExit", each_exit, Text<"reason">, UInt32<"reason_number">,
                            HexInt64<"qualification">, HexInt64<"guest_rip">,
                            UInt32<"instruction_length">, HexInt64<"at">>;
using EntryFailure = trace::Event<"EntryFailure", failure, Text<"reason">, UInt32<"reason_number">,
                                  HexInt64<"qualification">, HexInt64<"at">>;
using GuestProof =
    trace::Event<"GuestProof", lifecycle, UInt64<"asked">, UInt64<"answered">, UInt64<"expected">>;

void report_exit(const TraceProvider& provider, const Journal& journal) {
    const ExitNote& exit = *journal.exit;
    const std::uint32_t number = exit.reason.basic_reason;
    const char* const reason = vmx::exit_reason_name(exit.reason.basic_reason);
    if (exit.reason.entry_failure != 0) {
        provider.write<EntryFailure>(reason, number, exit.qualification, exit.at);
        return;
    }
    provider.write<VmEntry>(journal.vm_entry_at);
    const Mailbox& mailbox = journal.mailbox;
    if (mailbox.guest_at != 0) {
        provider.write<GuestRuns>(mailbox.guest_rsp, mailbox.guest_at);
    }
    provider.write<VmExit>(reason, number, exit.qualification, exit.guest_rip,
                           exit.instruction_length, exit.at);
}

}  // namespace

void report(const TraceProvider& provider, const Journal& journal,
            const std::expected<void, vmx::Failure>& outcome) {
    if (journal.basic) {
        platform::trace_supported(provider, *journal.basic, journal.supported_at);
    }
    if (journal.vmxon_at != 0) {
        provider.write<VmxOn>(journal.vmxon_at);
    }
    if (journal.exit) {
        report_exit(provider, journal);
    }
    if (journal.fields.used != 0) {
        provider.write<platform::VmcsFields>(journal.fields.all());
    }
    if (journal.vmxoff_at != 0) {
        provider.write<VmxOff>(journal.vmxoff_at);
    }
    if (outcome) {
        provider.write<GuestProof>(journal.mailbox.asked, journal.mailbox.answered,
                                   collatz_steps(journal.mailbox.asked));
    } else {
        platform::trace_failure(provider, outcome.error());
    }
}

}  // namespace hvp::launch
