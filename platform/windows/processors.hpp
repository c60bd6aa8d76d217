// Staying on one processor.
#pragma once

#include <cstdint>

#include "platform/windows/nt.hpp"

namespace hvp::windows {

/// Keeps the calling thread on the processor where it is, until destruction.
///
/// VMX operation belongs to a processor, not to a thread: state that was read on one processor
/// and written on another is a crash that shows minutes later.
///
/// Where    PASSIVE_LEVEL. Interrupts and other threads still come; the processor stays the same.
/// Source   [Windows: KeSetSystemGroupAffinityThread]
class PinnedToProcessor {
public:
    PinnedToProcessor() {
        // Between this answer and the next call the thread may move on: that does not matter, for
        // when the call returns it is on the processor that the answer named.
        PROCESSOR_NUMBER here{};
        index_ = KeGetCurrentProcessorNumberEx(&here);
        pin_to(here);
    }
    /// Moves the thread there.
    ///
    /// Needs    `processor` < processor_count()
    /// Source   [Windows: KeGetProcessorNumberFromIndex]
    explicit PinnedToProcessor(std::uint32_t processor) : index_{processor} {
        PROCESSOR_NUMBER there{};
        (void)KeGetProcessorNumberFromIndex(processor, &there);
        pin_to(there);
    }
    PinnedToProcessor(const PinnedToProcessor&) = delete;
    PinnedToProcessor& operator=(const PinnedToProcessor&) = delete;
    ~PinnedToProcessor() { KeRevertToUserGroupAffinityThread(&before_); }

    /// The processor's number, counted over all groups.
    [[nodiscard]] std::uint32_t index() const { return index_; }

private:
    void pin_to(const PROCESSOR_NUMBER& processor) {
        GROUP_AFFINITY only_there{};
        only_there.Group = processor.Group;
        only_there.Mask = KAFFINITY{1} << processor.Number;
        KeSetSystemGroupAffinityThread(&only_there, &before_);
    }

    GROUP_AFFINITY before_{};
    std::uint32_t index_{};
};

/// No other thread runs on this processor until destruction. Interrupts still come.
///
/// Source   [Windows: KeRaiseIrql]
class PreemptionOff {
public:
    PreemptionOff() { KeRaiseIrql(DISPATCH_LEVEL, &before_); }
    PreemptionOff(const PreemptionOff&) = delete;
    PreemptionOff& operator=(const PreemptionOff&) = delete;
    ~PreemptionOff() { KeLowerIrql(before_); }

private:
    KIRQL before_{};
};

/// Source   [Windows: KeQueryActiveProcessorCountEx]
[[nodiscard]] inline std::uint32_t processor_count() {
    return KeQueryActiveProcessorCountEx(ALL_PROCESSOR_GROUPS);
}

}  // namespace hvp::windows
