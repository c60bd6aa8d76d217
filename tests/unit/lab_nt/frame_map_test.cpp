// The page-frame allocator's promises.
#include "lab/nt/mm/frame_map.hpp"

#include <gtest/gtest.h>

#include <set>
#include <vector>

namespace hvp::lab::mm {
namespace {

constexpr std::uint64_t memory = 64ULL << 20;
constexpr PhysicalAddress reserved{0x80'0000};

class FrameMapOf64MiB : public testing::Test {
protected:
    FrameMapOf64MiB() { map_.initialise(memory, reserved, 1); }

    FrameMap map_{};
};

TEST_F(FrameMapOf64MiB, EachIsAllocatedOnceAndNoneBelowTheReservedEnd) {
    std::set<std::uint64_t> seen;
    while (const auto frame = map_.take()) {
        EXPECT_TRUE(seen.insert(frame->raw()).second);
        EXPECT_GE(frame->raw(), reserved.raw());
        EXPECT_LT(frame->raw(), memory);
    }
    EXPECT_EQ(seen.size(), (memory - reserved.raw()) / page_bytes);
}

TEST_F(FrameMapOf64MiB, TwoSuccessiveOnesAreNotAdjacent) {
    auto previous = map_.take();
    for (int i = 0; i < 100; ++i) {
        const auto next = map_.take();
        ASSERT_TRUE(next);
        EXPECT_NE(next->raw(), previous->raw() + page_bytes);
        previous = next;
    }
}

TEST_F(FrameMapOf64MiB, ARunLiesAsHighAsAllowed) {
    const auto top = map_.take_run({.frames = 4});
    ASSERT_TRUE(top);
    EXPECT_EQ(top->raw(), memory - 4 * page_bytes);
    const auto below = map_.take_run({.frames = 2, .highest = PhysicalAddress{0x100'0FFF}});
    ASSERT_TRUE(below);
    EXPECT_EQ(below->raw(), 0xFF'F000U);
}

TEST_F(FrameMapOf64MiB, ARunDoesNotReachBelowItsLowestAddress) {
    EXPECT_FALSE(map_.take_run({.frames = 3,
                                .lowest = PhysicalAddress{0x200'0000},
                                .highest = PhysicalAddress{0x200'1FFF}}));
    EXPECT_TRUE(map_.take_run({.frames = 2,
                               .lowest = PhysicalAddress{0x200'0000},
                               .highest = PhysicalAddress{0x200'1FFF}}));
}

// [Windows: MmAllocateContiguousMemorySpecifyCache] The run does not cross a multiple of Boundary.
TEST_F(FrameMapOf64MiB, ARunDoesNotCrossItsBoundary) {
    constexpr std::uint64_t boundary = 0x1'0000;
    ASSERT_TRUE(map_.take_run({.frames = 3}));  // so that the next one would begin at …C000
    const auto run = map_.take_run({.frames = 14, .boundary = boundary});
    ASSERT_TRUE(run);
    const std::uint64_t last_byte = run->raw() + 14 * page_bytes - 1;
    EXPECT_EQ(run->raw() / boundary, last_byte / boundary);
    EXPECT_FALSE(map_.take_run({.frames = 17, .boundary = boundary}));
}

TEST_F(FrameMapOf64MiB, ATakenFrameIsAnObstacleForARun) {
    const auto single = map_.take_run({.frames = 1, .highest = PhysicalAddress{0x200'0FFF}});
    ASSERT_TRUE(single);
    const auto run = map_.take_run({.frames = 2, .highest = PhysicalAddress{0x200'1FFF}});
    ASSERT_TRUE(run);
    EXPECT_EQ(run->raw(), single->raw() - 2 * page_bytes);
}

// 0xA000 to 0xA0000: after the memory that the firmware uses, up to video memory.
TEST_F(FrameMapOf64MiB, FramesBelow1MiBAreOnlyForRequestsThatNameThem) {
    const auto run = map_.take_run({.frames = 2, .highest = PhysicalAddress{0xF'FFFF}});
    ASSERT_TRUE(run);
    EXPECT_EQ(run->raw(), 0x9'E000U);
    EXPECT_FALSE(map_.is_free(*run));
    EXPECT_FALSE(map_.take_run({.frames = 0x95, .highest = PhysicalAddress{0xF'FFFF}}));
    map_.release(*run, 2);
    EXPECT_TRUE(map_.is_free(*run));
    EXPECT_TRUE(map_.take_run({.frames = 0x96, .highest = PhysicalAddress{0xF'FFFF}}));
    EXPECT_FALSE(map_.is_free(PhysicalAddress{0x9000}));
    EXPECT_FALSE(map_.is_free(PhysicalAddress{0xA'0000}));
}

TEST_F(FrameMapOf64MiB, NothingIsFoundWhereNothingFits) {
    EXPECT_FALSE(map_.take_run({.frames = memory / page_bytes}));
    EXPECT_FALSE(map_.take_run({.frames = 1, .highest = PhysicalAddress{0}}));
}

}  // namespace
}  // namespace hvp::lab::mm
