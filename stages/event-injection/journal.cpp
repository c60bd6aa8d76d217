#include "stages/event-injection/journal.hpp"

#include "platform/windows/exit_events.hpp"

namespace hvp::event_injection {
namespace {

using trace::HexInt64;
using trace::Text;
using trace::UInt64;
using windows::TraceProvider;
namespace keyword = windows::keyword;

constexpr trace::Traits life{.keyword = keyword::life};

using ExceptCaught =
    trace::Event<"ExceptCaught", life, Text<"instruction">, HexInt64<"code">, HexInt64<"address">,
                 HexInt64<"instruction_rip">, HexInt64<"answer">>;
using HandlerFrame =
    trace::Event<"HandlerFrame", life, Text<"instruction">, UInt64<"handlers">, UInt64<"vector">,
                 HexInt64<"error_code">, HexInt64<"rip">, HexInt64<"instruction_rip">,
                 HexInt64<"rflags">, HexInt64<"rsp">, HexInt64<"rsp_before">>;
using InjectionProof = trace::Event<"InjectionProof", life, UInt64<"right">, UInt64<"tried">,
                                    Text<"except">, Text<"hidden">>;

const char* name_of(arch::Refused instruction) {
    using enum arch::Refused;
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

const char* yes_or_no(bool yes) {
    return yes ? "yes" : "no";
}

bool prove(const TraceProvider& provider, const Conversation& conversation) {
    const Verdict& verdict = conversation.verdict;
    provider.write<ExceptCaught>("VMLAUNCH", verdict.code, verdict.address, verdict.place.at,
                                 verdict.answer);
    std::uint64_t right = 0;
    for (const Attempt& attempt : conversation.attempts) {
        provider.write<HandlerFrame>(name_of(attempt.instruction), attempt.handlers, attempt.vector,
                                     attempt.error_code, attempt.frame.rip, attempt.place.at,
                                     attempt.frame.rflags, attempt.frame.rsp, attempt.place.rsp);
        right += is_as_outside_vmx(attempt) ? 1 : 0;
    }
    const bool caught = is_as_outside_vmx(verdict);
    const bool hidden = hides_vmx(conversation);
    provider.write<InjectionProof>(right, std::uint64_t{attempt_count}, yes_or_no(caught),
                                   yes_or_no(hidden));
    return right == attempt_count && caught && hidden;
}

}  // namespace

bool tell(const TraceProvider& provider, const Journal& journal, vmx::VirtualProcessor& processor) {
    windows::trace_supported(provider, journal.basic, journal.supported_at);
    windows::trace_vmx_on(provider, journal.vmxon_at);
    windows::trace_entry(provider, journal.vm_entry_at);
    trace::ExitEvent event{};
    while (processor.ring->read(event)) {
        windows::trace_exit(provider, event);
    }
    windows::trace_dropped(provider, *processor.ring);
    windows::trace_ending(provider, processor);
    windows::trace_vmx_off(provider, journal.left_at);
    return prove(provider, journal.conversation);
}

}  // namespace hvp::event_injection
