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
        GROUP_AFFINITY only_here{};
        only_here.Group = here.Group;
        only_here.Mask = KAFFINITY{1} << here.Number;
        KeSetSystemGroupAffinityThread(&only_here, &before_);
    }
    PinnedToProcessor(const PinnedToProcessor&) = delete;
    PinnedToProcessor& operator=(const PinnedToProcessor&) = delete;
    ~PinnedToProcessor() { KeRevertToUserGroupAffinityThread(&before_); }

    /// The processor's number, counted over all groups.
    [[nodiscard]] std::uint32_t index() const { return index_; }

private:
    GROUP_AFFINITY before_{};
    std::uint32_t index_{};
};

/// No other thread runs on this processor until destruction. Interrupts still come.
///
/// Source   [Windows: KeRaiseIrql]
class AtDispatchLevel {
public:
    AtDispatchLevel() { KeRaiseIrql(DISPATCH_LEVEL, &before_); }
    AtDispatchLevel(const AtDispatchLevel&) = delete;
    AtDispatchLevel& operator=(const AtDispatchLevel&) = delete;
    ~AtDispatchLevel() { KeLowerIrql(before_); }

private:
    KIRQL before_{};
};

}  // namespace hvp::windows
