#include "stages/event-injection/journal.hpp"

#include <algorithm>

#include "stages/shared/report.hpp"
#include "stages/shared/result.hpp"

namespace hvp::event_injection {
namespace {

using platform::TraceProvider;
using stages::lifecycle;
using stages::yes_or_no;
using trace::HexInt64;
using trace::Text;
using trace::UInt64;

using ExceptCaught =
    trace::Event<"ExceptCaught", lifecycle, Text<"instruction">, HexInt64<"code">,
                 HexInt64<"address">, HexInt64<"instruction_rip">, HexInt64<"answer">>;
using HandlerFrame = trace::Event<"HandlerFrame", lifecycle, Text<"instruction">,
                                  UInt64<"handlers">, UInt64<"vector">, HexInt64<"error_code">,
                                  HexInt64<"rip">, HexInt64<"instruction_rip">, HexInt64<"rflags">,
                                  HexInt64<"rsp">, HexInt64<"rsp_before">>;
using InjectionProof = trace::Event<"InjectionProof", lifecycle, UInt64<"right">, UInt64<"tried">,
                                    Text<"except">, Text<"hidden">>;

const char* name_of(stages::Refused instruction) {
    using enum stages::Refused;
    switch (instruction) {
        case vmcall:
            return "VMCALL";
        case vmclear:
            return "VMCLEAR";
        case vmfunc:
            return "VMFUNC";
        case vmlaunch:
            return "VMLAUNCH";
        case vmptrld:
            return "VMPTRLD";
        case vmptrst:
            return "VMPTRST";
        case vmread:
            return "VMREAD";
        case vmresume:
            return "VMRESUME";
        case vmwrite:
            return "VMWRITE";
        case vmxoff:
            return "VMXOFF";
        case vmxon:
            return "VMXON";
        case invept:
            return "INVEPT";
        case invvpid:
            return "INVVPID";
        case set_vmxe:
            return "MOV to CR4 with VMXE";
        case read_vmx_msr:
            return "RDMSR of IA32_VMX_BASIC";
    }
    return "unknown";
}

/// What the guest tried, as far as it came. `ended_in_one`: the VMM left it at the last instruction
/// that it reached, whose handler never had its turn.
void report_attempts(const TraceProvider& provider, const Mailbox& mailbox, bool ended_in_one) {
    const auto unreached = std::ranges::find(
        mailbox.attempts, 0U, [](const Attempt& attempt) { return attempt.place.at; });
    const auto reached = static_cast<std::size_t>(unreached - mailbox.attempts.begin());
    const Verdict& verdict = mailbox.verdict;
    if (verdict.place.at != 0) {
        provider.write<ExceptCaught>("VMLAUNCH", verdict.code, verdict.address, verdict.place.at,
                                     verdict.answer);
    }
    for (std::size_t i = 0; i < reached; ++i) {
        const Attempt& attempt = mailbox.attempts[i];
        if (attempt.handlers != 0 || !ended_in_one || i + 1 < reached) {
            provider.write<HandlerFrame>(name_of(attempt.instruction), attempt.handlers,
                                         attempt.vector, attempt.error_code, attempt.frame.rip,
                                         attempt.place.at, attempt.frame.rflags, attempt.frame.rsp,
                                         attempt.place.rsp);
        }
    }
}

/// Needs    a guest that came to its end
bool verify(const TraceProvider& provider, const Mailbox& mailbox) {
    const auto right = static_cast<std::uint64_t>(std::ranges::count_if(
        mailbox.attempts, [](const Attempt& attempt) { return is_as_outside_vmx(attempt); }));
    const bool caught = is_as_outside_vmx(mailbox.verdict);
    const bool hidden = hides_vmx(mailbox);
    provider.write<InjectionProof>(right, std::uint64_t{attempt_count}, yes_or_no(caught),
                                   yes_or_no(hidden));
    return right == attempt_count && caught && hidden;
}

/// The first instruction that was not as on a processor outside VMX operation.
std::unexpected<vmx::Failure> what_was_wrong(const Mailbox& mailbox) {
    static vmx::Explanation why{
        .step = "what CPUID and CR4 say of VT-x",
        .rule = {"3C", "26.5", "Event Injection"},
        .remedy = "not as without a VMM: see the events HandlerFrame and ExceptCaught",
    };
    const auto* const attempt = std::ranges::find_if_not(
        mailbox.attempts, [](const Attempt& one) { return is_as_outside_vmx(one); });
    if (!is_as_outside_vmx(mailbox.verdict)) {
        why.step = "the guest's VMLAUNCH in __try";
    } else if (attempt != mailbox.attempts.end()) {
        why.step = name_of(attempt->instruction);
    }
    return stages::unexpected(why);
}

}  // namespace

std::expected<void, vmx::Failure> report(const TraceProvider& provider, const Journal& journal,
                                         vmx::VirtualProcessor& processor) {
    platform::trace_supported(provider, journal.basic, journal.supported_at);
    stages::report_run(provider, journal.timestamps, processor, [](const trace::ExitEvent&) {});
    const bool left_early = processor.guest_stop.why != vmx::StopReason::stopped_by_guest;
    report_attempts(provider, journal.mailbox, left_early);
    if (left_early) {
        return stages::left_early(processor.guest_stop);
    }
    return verify(provider, journal.mailbox) ? std::expected<void, vmx::Failure>{}
                                             : what_was_wrong(journal.mailbox);
}

}  // namespace hvp::event_injection
