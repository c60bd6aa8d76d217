#include "stages/event-injection/journal.hpp"

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

bool verify(const TraceProvider& provider, const Mailbox& mailbox) {
    const Verdict& verdict = mailbox.verdict;
    provider.write<ExceptCaught>("VMLAUNCH", verdict.code, verdict.address, verdict.place.at,
                                 verdict.answer);
    std::uint64_t right = 0;
    for (const Attempt& attempt : mailbox.attempts) {
        provider.write<HandlerFrame>(name_of(attempt.instruction), attempt.handlers, attempt.vector,
                                     attempt.error_code, attempt.frame.rip, attempt.place.at,
                                     attempt.frame.rflags, attempt.frame.rsp, attempt.place.rsp);
        right += is_as_outside_vmx(attempt) ? 1 : 0;
    }
    const bool caught = is_as_outside_vmx(verdict);
    const bool hidden = hides_vmx(mailbox);
    provider.write<InjectionProof>(right, std::uint64_t{attempt_count}, yes_or_no(caught),
                                   yes_or_no(hidden));
    return right == attempt_count && caught && hidden;
}

}  // namespace

std::expected<void, vmx::Failure> report(const TraceProvider& provider, const Journal& journal,
                                         vmx::VirtualProcessor& processor) {
    platform::trace_supported(provider, journal.basic, journal.supported_at);
    stages::report_run(provider, journal.timestamps, processor, [](const trace::ExitEvent&) {});
    const bool as_outside_vmx = verify(provider, journal.mailbox);
    if (processor.guest_stop.why != vmx::StopReason::stopped_by_guest) {
        return stages::left_early(processor.guest_stop);
    }
    if (!as_outside_vmx) {
        static constexpr vmx::Explanation why{
            .step = "the guest's exceptions",
            .rule = {"3C", "26.5", "Event Injection"},
            .remedy = "one was not as without a VMM: see the events HandlerFrame and ExceptCaught",
        };
        return stages::unexpected(why);
    }
    return {};
}

}  // namespace hvp::event_injection
