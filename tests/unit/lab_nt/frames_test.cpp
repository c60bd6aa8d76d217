// The page-frame allocator's promises.
#include "lab/nt/mm/frames.hpp"

#include <gtest/gtest.h>

#include <set>
#include <vector>

namespace hvp::lab::mm {
namespace {

constexpr std::uint64_t memory = 64ULL << 20;
constexpr PhysicalAddress reserved{0x80'0000};

/// There is one allocator: each test gives everything back.
class Frames : public testing::Test {
protected:
    Frames() { initialise_frames(memory, reserved, 1); }
    ~Frames() override { give_back_frames(PhysicalAddress{0}, memory / page_bytes); }
};

TEST_F(Frames, EachIsGivenOnceAndNoneBelowTheReservedEnd) {
    std::set<std::uint64_t> seen;
    while (const auto frame = take_frame()) {
        EXPECT_TRUE(seen.insert(frame->raw()).second);
        EXPECT_GE(frame->raw(), reserved.raw());
        EXPECT_LT(frame->raw(), memory);
    }
    EXPECT_EQ(seen.size(), (memory - reserved.raw()) / page_bytes);
}

TEST_F(Frames, TwoInARowAreNotNeighbours) {
    auto previous = take_frame();
    for (int i = 0; i < 100; ++i) {
        const auto next = take_frame();
        ASSERT_TRUE(next);
        EXPECT_NE(next->raw(), previous->raw() + page_bytes);
        previous = next;
    }
}

TEST_F(Frames, ARunLiesAsHighAsAllowed) {
    const auto top = take_frame_run({.frames = 4});
    ASSERT_TRUE(top);
    EXPECT_EQ(top->raw(), memory - 4 * page_bytes);
    const auto below = take_frame_run({.frames = 2, .highest = PhysicalAddress{0x100'0FFF}});
    ASSERT_TRUE(below);
    EXPECT_EQ(below->raw(), 0xFF'F000U);
}

TEST_F(Frames, ARunDoesNotReachBelowItsLowestAddress) {
    EXPECT_FALSE(take_frame_run({.frames = 3,
                                 .lowest = PhysicalAddress{0x200'0000},
                                 .highest = PhysicalAddress{0x200'1FFF}}));
    EXPECT_TRUE(take_frame_run({.frames = 2,
                                .lowest = PhysicalAddress{0x200'0000},
                                .highest = PhysicalAddress{0x200'1FFF}}));
}

// [Windows: MmAllocateContiguousMemorySpecifyCache] The run does not cross a multiple of Boundary.
TEST_F(Frames, ARunDoesNotCrossItsBoundary) {
    constexpr std::uint64_t boundary = 0x1'0000;
    ASSERT_TRUE(take_frame_run({.frames = 3}));  // so that the next one would begin at …C000
    const auto run = take_frame_run({.frames = 14, .boundary = boundary});
    ASSERT_TRUE(run);
    const std::uint64_t last_byte = run->raw() + 14 * page_bytes - 1;
    EXPECT_EQ(run->raw() / boundary, last_byte / boundary);
    EXPECT_FALSE(take_frame_run({.frames = 17, .boundary = boundary}));
}

TEST_F(Frames, ATakenFrameIsAnObstacleForARun) {
    const auto single = take_frame_run({.frames = 1, .highest = PhysicalAddress{0x200'0FFF}});
    ASSERT_TRUE(single);
    const auto run = take_frame_run({.frames = 2, .highest = PhysicalAddress{0x200'1FFF}});
    ASSERT_TRUE(run);
    EXPECT_EQ(run->raw(), single->raw() - 2 * page_bytes);
}

TEST_F(Frames, NothingIsFoundWhereNothingFits) {
    EXPECT_FALSE(take_frame_run({.frames = memory / page_bytes}));
    EXPECT_FALSE(take_frame_run({.frames = 1, .highest = PhysicalAddress{0}}));
}

}  // namespace
}  // namespace hvp::lab::mm
