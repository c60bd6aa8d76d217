// The ring between VMX root operation and the rest of the world.
#include "hypervisor/trace/ring.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <thread>

namespace hvp::trace {
namespace {

ExitEvent event_with(std::uint64_t value) {
    return {.exit_at = value,
            .entry_at = value,
            .qualification = value,
            .guest_rip = value,
            .detail = value,
            .registers = value};
}

bool is_whole(const ExitEvent& event) {
    const std::uint64_t value = event.exit_at;
    return event.entry_at == value && event.qualification == value && event.guest_rip == value &&
           event.detail == value && event.registers == value;
}

TEST(Ring, GivesBackWhatWasWrittenInOrder) {
    Ring ring;
    for (std::uint64_t i = 0; i < 10; ++i) {
        ring.write(event_with(i));
    }
    ExitEvent event{};
    for (std::uint64_t i = 0; i < 10; ++i) {
        ASSERT_TRUE(ring.read(event));
        EXPECT_EQ(event.exit_at, i);
        EXPECT_EQ(event.sequence, i);
    }
    EXPECT_FALSE(ring.read(event));
    EXPECT_EQ(ring.dropped(), 0U);
}

TEST(Ring, CountsExactlyWhatFindsNoPlace) {
    Ring ring;
    for (std::uint64_t i = 0; i < Ring::capacity + 7; ++i) {
        ring.write(event_with(i));
    }
    EXPECT_EQ(ring.dropped(), 7U);
    ExitEvent event{};
    ASSERT_TRUE(ring.read(event));
    ring.write(event_with(99));
    std::uint64_t last = 0;
    std::uint64_t count = 1;
    while (ring.read(event)) {
        last = event.sequence;
        ++count;
    }
    EXPECT_EQ(count, Ring::capacity + 1);
    EXPECT_EQ(last, Ring::capacity + 7) << "the gap shows where events are missing";
    EXPECT_EQ(ring.dropped(), 7U);
}

// A million events, a reader that is now faster, now slower: none is torn, none is counted twice.
TEST(Ring, LosesNothingBetweenTwoThreads) {
    const auto ring = std::make_unique<Ring>();
    constexpr std::uint64_t events = 1'000'000;
    std::jthread writer{[&] {
        for (std::uint64_t i = 0; i < events; ++i) {
            ring->write(event_with(i));
        }
    }};
    ExitEvent event{};
    std::uint64_t read = 0;
    std::uint64_t next = 0;
    while (next < events) {
        if (!ring->read(event)) {
            if (read + ring->dropped() == events) {
                break;
            }
            continue;
        }
        ASSERT_TRUE(is_whole(event));
        ASSERT_GE(event.sequence, next);
        ASSERT_EQ(event.exit_at, event.sequence);
        next = event.sequence + 1U;
        ++read;
    }
    writer.join();
    while (ring->read(event)) {
        ++read;
    }
    EXPECT_EQ(read + ring->dropped(), events);
}

}  // namespace
}  // namespace hvp::trace
