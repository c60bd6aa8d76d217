#include "tool/record/no_progress.hpp"

namespace hvp::tool {
namespace {

// The instruction of the VM entry itself is one tick; the guest's first one exits at the next.
constexpr std::uint64_t nothing_executed = 1;

// Between two clock interrupts of the lab are twice as many. A VMM that takes longer waits for
// something, and its guest with it: for an interrupt that ends the guest's HLT, for example.
constexpr std::uint64_t longest_work_of_a_vmm = 50'000;

}  // namespace

void NoProgress::add(const lab::ProcessorEvent& event) {
    using enum lab::ProcessorEventKind;
    switch (event.kind) {
        case vm_launch:
        case vm_resume:
            exit_.vmcs = event.vmcs;
            return;
        case vm_entry:
            exit_.entered_at = entered_at_;
            entered_at_ = event.t;
            if (event.t - left_at_ > longest_work_of_a_vmm) {
                exit_.count = 0;
            }
            return;
        case vm_exit:
            if (event.t - entered_at_ > nothing_executed ||
                event.reason_number != exit_.reason_number || event.cpu != exit_.cpu) {
                exit_.count = 0;
            }
            ++exit_.count;
            exit_.reason_number = event.reason_number;
            exit_.cpu = event.cpu;
            left_at_ = event.t;
            return;
        case vm_fail:
        case entry_failure:
        case triple_fault:
            exit_.count = 0;
            return;
    }
}

std::optional<RepeatedExit> NoProgress::suspicion() const {
    return exit_.count >= suspicious_ ? std::optional{exit_} : std::nullopt;
}

void NoProgress::acquit() {
    constexpr std::uint64_t more_patience = 16;
    suspicious_ *= more_patience;
    exit_.count = 0;
}

}  // namespace hvp::tool
