#include "stages/guest-state/journal.hpp"

#include <algorithm>
#include <cstddef>

#include "stages/shared/report.hpp"
#include "stages/shared/result.hpp"

namespace hvp::guest_state {
namespace {

using platform::TraceProvider;
using stages::lifecycle;
using trace::UInt64;

using RegistersProof =
    trace::Event<"RegistersProof", lifecycle, UInt64<"steps">, UInt64<"kept_by_guest">,
                 UInt64<"same_for_vmm">, UInt64<"answers_right">>;

/// Guest and VMM each have summed up the registers at every exit: are the sums the same?
std::uint64_t count_same_sums(const Mailbox& mailbox, std::uint64_t sum, std::uint64_t exit) {
    return exit < mailbox.steps_done && mailbox.steps[exit].before.sum() == sum ? 1 : 0;
}

/// How many of the guest's steps went well, in three ways to look at it.
struct Proof {
    std::uint64_t kept_by_guest{};  ///< the guest found its other registers as before
    std::uint64_t same_for_vmm{};   ///< the VMM saw the values that the guest had chosen
    std::uint64_t answers_right{};  ///< the instruction's results are those of this VMM

    friend bool operator==(const Proof&, const Proof&) = default;
};
constexpr Proof perfect{step_count, step_count, step_count};

Proof look_at(const Mailbox& mailbox, std::uint64_t same_sums) {
    const auto count = [&](bool (*holds)(const Step&)) {
        const auto* const first = mailbox.steps.begin();
        return static_cast<std::uint64_t>(
            std::count_if(first, first + static_cast<std::ptrdiff_t>(mailbox.steps_done), holds));
    };
    return {.kept_by_guest = count(registers_kept),
            .same_for_vmm = same_sums,
            .answers_right = count(answered_right)};
}

const char* name_of(stages::Probe instruction) {
    switch (instruction) {
        case stages::Probe::hlt:
            return "the guest's HLT";
        case stages::Probe::cpuid:
            return "the guest's CPUID";
        case stages::Probe::rdmsr:
            return "the guest's RDMSR";
        case stages::Probe::wrmsr:
            return "the guest's WRMSR";
        case stages::Probe::vmcall:
            return "the guest's VMCALL";
        case stages::Probe::read_cr3:
            return "the guest's MOV from CR3";
        case stages::Probe::write_cr3:
            return "the guest's MOV to CR3";
    }
    return "the guest";
}

/// The first exit after which a register or the answer was not as it must be.
std::unexpected<vmx::Failure> wrong_step(const Mailbox& mailbox) {
    static vmx::Explanation why{
        .step = "the guest's registers, as the VMM saw them",
        .rule = {"3C", "31.7", "Handling of VM Exits"},
        .remedy =
            "the event RegistersProof counts exits that kept all registers, and right answers",
    };
    const auto* const step = std::ranges::find_if(mailbox.steps, [](const Step& one) {
        return !registers_kept(one) || !answered_right(one);
    });
    if (step != mailbox.steps.end()) {
        why.step = name_of(step->instruction);
    }
    auto failure = stages::unexpected(why);
    failure.error().number = static_cast<std::uint32_t>(step - mailbox.steps.begin()) + 1;
    return failure;
}

}  // namespace

std::expected<void, vmx::Failure> report(const TraceProvider& provider, const Journal& journal,
                                         vmx::VirtualProcessor& processor) {
    platform::trace_supported(provider, journal.basic, journal.supported_at);
    std::uint64_t same_sums = 0;
    std::uint64_t exits = 0;
    stages::report_run(provider, journal.timestamps, processor, [&](const trace::ExitEvent& event) {
        same_sums += count_same_sums(journal.mailbox, event.registers, exits++);
    });
    const Proof proof = look_at(journal.mailbox, same_sums);
    if (journal.mailbox.steps_done != 0) {
        provider.write<RegistersProof>(journal.mailbox.steps_done, proof.kept_by_guest,
                                       proof.same_for_vmm, proof.answers_right);
    }

    if (processor.guest_stop.why != vmx::StopReason::stopped_by_guest) {
        return stages::left_early(processor.guest_stop);
    }
    return proof == perfect ? std::expected<void, vmx::Failure>{} : wrong_step(journal.mailbox);
}

}  // namespace hvp::guest_state
