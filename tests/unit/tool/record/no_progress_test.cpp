#include "tool/record/no_progress.hpp"

#include <gtest/gtest.h>

namespace hvp::tool {
namespace {

using enum lab::ProcessorEventKind;

constexpr std::uint16_t hlt = 12;
constexpr std::uint16_t cpuid = 10;

// A guest on processor 0, entry by entry.
class NoProgressTest : public testing::Test {
protected:
    // Work of the VMM, an entry, so many instructions, and an exit.
    void round(std::uint64_t instructions, std::uint16_t reason, std::uint64_t root = 40) {
        t_ += root;
        watch_.add({.kind = vm_resume, .t = t_, .vmcs = 0x5000});
        watch_.add({.kind = vm_entry, .t = t_});
        entered_before_ = entered_;
        entered_ = t_;
        t_ += instructions + 1;
        watch_.add({.kind = vm_exit, .t = t_, .reason_number = reason});
    }
    void rounds(std::uint64_t count, std::uint64_t instructions, std::uint16_t reason,
                std::uint64_t root = 40) {
        for (std::uint64_t i = 0; i < count; ++i) {
            round(instructions, reason, root);
        }
    }
    NoProgress watch_;
    std::uint64_t t_ = 1'000;
    std::uint64_t entered_ = 0;
    std::uint64_t entered_before_ = 0;
};

TEST_F(NoProgressTest, SuspectsAtTheExit4096WithoutAnInstruction) {
    rounds(4'095, 0, hlt);
    EXPECT_FALSE(watch_.suspicion());
    round(0, hlt);
    const RepeatedExit expected{.cpu = 0,
                                .reason_number = hlt,
                                .vmcs = 0x5000,
                                .entered_at = entered_before_,
                                .count = 4'096};
    EXPECT_EQ(watch_.suspicion(), expected);
}

TEST_F(NoProgressTest, OneInstructionIsProgress) {
    rounds(4'095, 0, cpuid);
    round(1, cpuid);
    rounds(4'094, 0, cpuid);
    EXPECT_FALSE(watch_.suspicion());
    rounds(100'000, 1, cpuid);
    EXPECT_FALSE(watch_.suspicion());
}

TEST_F(NoProgressTest, AnotherReasonIsProgress) {
    rounds(4'095, 0, cpuid);
    rounds(4'095, 0, hlt);
    EXPECT_FALSE(watch_.suspicion());
}

TEST_F(NoProgressTest, AVmmThatWaitsIsNotEndless) {
    rounds(10'000, 0, hlt, 60'000);
    EXPECT_FALSE(watch_.suspicion());
    rounds(4'096, 0, hlt, 50'000);
    EXPECT_TRUE(watch_.suspicion());
}

TEST_F(NoProgressTest, IsMorePatientWithAGuestThatWasAcquitted) {
    rounds(4'096, 0, hlt);
    watch_.acquit();
    EXPECT_FALSE(watch_.suspicion());
    rounds(65'535, 0, hlt);
    EXPECT_FALSE(watch_.suspicion());
    round(0, hlt);
    EXPECT_TRUE(watch_.suspicion());
}

}  // namespace
}  // namespace hvp::tool
