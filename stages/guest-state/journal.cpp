#include "stages/guest-state/journal.hpp"

#include <algorithm>
#include <cstddef>

#include "platform/windows/exit_events.hpp"

namespace hvp::guest_state {
namespace {

using trace::UInt64;
using windows::TraceProvider;
namespace keyword = windows::keyword;

constexpr trace::Traits life{.keyword = keyword::life};

using RegistersProof =
    trace::Event<"RegistersProof", life, UInt64<"steps">, UInt64<"kept_by_guest">,
                 UInt64<"same_for_vmm">, UInt64<"answers_right">>;

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
    windows::trace_vmx_on(provider, journal.vmxon_at);
    windows::trace_entry(provider, journal.vm_entry_at);
    std::uint64_t same_sums = 0;
    std::uint64_t exits = 0;
    trace::ExitEvent event{};
    while (processor.ring->read(event)) {
        windows::trace_exit(provider, event);
        same_sums += count_same_sums(journal.conversation, event.registers, exits++);
    }
    windows::trace_dropped(provider, *processor.ring);
    windows::trace_ending(provider, processor);
    windows::trace_vmx_off(provider, journal.left_at);
    const Proof proof = look_at(journal.conversation, same_sums);
    provider.write<RegistersProof>(std::uint64_t{step_count}, proof.kept_by_guest,
                                   proof.same_for_vmm, proof.answers_right);
    return proof;
}

}  // namespace hvp::guest_state
