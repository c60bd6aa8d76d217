// A ring of events: written in VMX root operation, where nothing can be printed, read outside.
//
// One writer, the VMM on its processor, and one reader, on any processor. Neither ever waits: a
// full ring drops the event and counts it. The sequence number counts the dropped ones too, so the
// reader sees where they are missing.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace hvp::trace {

/// One VM exit, and its handling.
struct ExitEvent {
    std::uint64_t exit_at{};   ///< time-stamp counter
    std::uint64_t entry_at{};  ///< the same at the next VM entry; 0: there was none
    std::uint64_t qualification{};
    std::uint64_t guest_rip{};
    std::uint64_t detail{};     ///< for instance the CPUID leaf or the MSR
    std::uint64_t registers{};  ///< a sum over the guest's general registers at the exit
    std::uint32_t reason{};     ///< all of the exit-reason field
    std::uint32_t sequence{};
    std::uint32_t instruction_length{};
    std::uint32_t injected{};  ///< VM-entry interruption information; 0: no event is injected
};
static_assert(sizeof(ExitEvent) == 64, "one cache line");

/// A ring of fixed size without locks. Each processor has one.
class Ring {
public:
    static constexpr std::size_t capacity = 1024;

    /// Writer only: where the next event is to be written. The reader sees nothing of it before
    /// `publish`, and an event that is not published has no effect.
    [[nodiscard, gnu::always_inline]] ExitEvent& next() {
        const std::uint64_t head = __atomic_load_n(&head_, __ATOMIC_RELAXED);
        const std::uint64_t tail = __atomic_load_n(&tail_, __ATOMIC_ACQUIRE);
        return head - tail == capacity ? no_room_ : slots_[head % capacity];
    }
    /// Writer only: the event that `next` had a place for is complete; in a full ring it is counted
    /// only.
    [[gnu::always_inline]] void publish(ExitEvent& event) {
        event.sequence = sequence_++;
        if (&event == &no_room_) [[unlikely]] {
            __atomic_store_n(&dropped_, dropped_ + 1, __ATOMIC_RELAXED);
            return;
        }
        // The event is complete before the reader can see it.
        __atomic_store_n(&head_, __atomic_load_n(&head_, __ATOMIC_RELAXED) + 1, __ATOMIC_RELEASE);
    }
    /// Both at once.
    void write(const ExitEvent& event) {
        ExitEvent& place = next();
        place = event;
        publish(place);
    }

    /// Reader only.
    ///
    /// Returns  false when there is nothing to read
    [[nodiscard]] bool read(ExitEvent& event) {
        const std::uint64_t tail = __atomic_load_n(&tail_, __ATOMIC_RELAXED);
        if (tail == __atomic_load_n(&head_, __ATOMIC_ACQUIRE)) {
            return false;
        }
        event = slots_[tail % capacity];
        __atomic_store_n(&tail_, tail + 1, __ATOMIC_RELEASE);
        return true;
    }

    /// How many events found the ring full.
    [[nodiscard]] std::uint64_t dropped() const {
        return __atomic_load_n(&dropped_, __ATOMIC_RELAXED);
    }
    /// Reader only: how many of them since this was last asked, for a report about each guest.
    [[nodiscard]] std::uint64_t take_dropped() {
        const std::uint64_t before = dropped_taken_;
        dropped_taken_ = dropped();
        return dropped_taken_ - before;
    }

private:
    // Writer and reader each have a cache line of their own.
    alignas(64) std::uint64_t head_{};
    std::uint64_t dropped_{};
    std::uint32_t sequence_{};
    alignas(64) std::uint64_t tail_{};
    std::uint64_t dropped_taken_{};
    alignas(64) std::array<ExitEvent, capacity> slots_{};
    ExitEvent no_room_{};  ///< what is written while the ring is full
};

}  // namespace hvp::trace
