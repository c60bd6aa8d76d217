#include "stages/guest-state/journal.hpp"

#include <algorithm>
#include <cstddef>

#include "hypervisor/vmx/exit_reason.hpp"
#include "platform/windows/exit_events.hpp"

namespace hvp::guest_state {
namespace {

using trace::HexInt64;
using trace::Level;
using trace::Text;
using trace::UInt64;
using windows::TraceProvider;
namespace keyword = windows::keyword;

constexpr trace::Traits life{.keyword = keyword::life};
constexpr trace::Traits failure{.level = Level::error, .keyword = keyword::failures};

// `at` is the time-stamp counter when it happened: the events are written later.
using VmxOn = trace::Event<"VmxOn", life, HexInt64<"at">>;
using VmxOff = trace::Event<"VmxOff", life, HexInt64<"at">>;
using HostException =
    trace::Event<"HostException", failure, UInt64<"vector">, HexInt64<"error_code">,
                 HexInt64<"rip">, HexInt64<"rsp">, HexInt64<"cr2">, Text<"during">>;
using GuestEnded =
    trace::Event<"GuestEnded", life, Text<"why">, Text<"reason">, HexInt64<"guest_rip">>;
using RegistersProof =
    trace::Event<"RegistersProof", life, UInt64<"steps">, UInt64<"kept_by_guest">,
                 UInt64<"same_for_vmm">, UInt64<"answers_right">>;

const char* name_of(vmx::End end) {
    switch (end) {
        case vmx::End::none:
            return "nothing";
        case vmx::End::stopped_by_guest:
            return "it asked to be stopped";
        case vmx::End::unhandled_exit:
            return "no handler knows this exit reason";
        case vmx::End::unhandled_detail:
            return "the handler does not know this form of the exit";
        case vmx::End::triple_fault:
            return "triple fault";
        case vmx::End::entry_refused:
            return "VM entry was refused";
        case vmx::End::entry_failed:
            return "VM entry failed";
        case vmx::End::exception_in_vmm:
            return "an exception in the VMM";
        case vmx::End::outside_memory:
            return "it went outside the memory that it was given";
        case vmx::End::ept_misconfigured:
            return "an entry of its EPT is one that the processor refuses";
    }
    return "unknown";
}

void tell_ending(const TraceProvider& provider, const vmx::Ending& ending) {
    const char* const reason = vmx::exit_reason_name(ending.reason.basic_reason);
    if (ending.end == vmx::End::exception_in_vmm) {
        const vmx::HostTrapReport& trap = ending.trap;
        provider.write<HostException>(trap.vector, trap.error_code, trap.rip, trap.rsp, trap.cr2,
                                      reason);
    }
    provider.write<GuestEnded>(name_of(ending.end), reason, ending.guest_rip);
}

/// Guest and VMM each have summed up the registers at every exit: do they speak of the same values?
std::uint64_t count_same_sums(const Conversation& conversation, std::uint64_t sum,
                              std::uint64_t exit) {
    return exit < conversation.steps_done && conversation.steps[exit].before.sum() == sum ? 1 : 0;
}

Proof look_at(const Conversation& conversation, std::uint64_t same_sums) {
    const auto count = [&](bool (*holds)(const Step&)) {
        const auto* const first = conversation.steps.begin();
        return static_cast<std::uint64_t>(std::count_if(
            first, first + static_cast<std::ptrdiff_t>(conversation.steps_done), holds));
    };
    return {.kept_by_guest = count(registers_kept),
            .same_for_vmm = same_sums,
            .answers_right = count(answered_right)};
}

}  // namespace

Proof tell(const TraceProvider& provider, const Journal& journal,
           vmx::VirtualProcessor& processor) {
    windows::trace_supported(provider, journal.basic, journal.supported_at);
    provider.write<VmxOn>(journal.vmxon_at);
    windows::trace_entry(provider, journal.vm_entry_at);
    std::uint64_t same_sums = 0;
    std::uint64_t exits = 0;
    trace::ExitEvent event{};
    while (processor.ring->read(event)) {
        windows::trace_exit(provider, event);
        same_sums += count_same_sums(journal.conversation, event.registers, exits++);
    }
    windows::trace_dropped(provider, *processor.ring);
    tell_ending(provider, processor.ending);
    provider.write<VmxOff>(journal.left_at);
    const Proof proof = look_at(journal.conversation, same_sums);
    provider.write<RegistersProof>(std::uint64_t{step_count}, proof.kept_by_guest,
                                   proof.same_for_vmm, proof.answers_right);
    return proof;
}

}  // namespace hvp::guest_state
