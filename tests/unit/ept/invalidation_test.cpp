// Which change of an entry needs INVEPT, and executing it.
#include "hypervisor/ept/invalidation.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/ept/memory.hpp"

namespace hvp::ept {
namespace {

constexpr Leaf page{.physical = host(0x5000), .rights = everything};

Entry pte(Leaf leaf) {
    return Entry::mapping(Level::page_table, leaf);
}
bool needed(Entry before, Entry after, Level level = Level::page_table) {
    return needs_invalidation(level, before, after);
}
Leaf with(Rights rights) {
    return {.physical = page.physical, .rights = rights};
}

// [SDM 3C 28.3.3.4 "Guidelines for Use of the INVEPT Instruction"], point by point.
TEST(EptInvalidation, TakingARightAwayNeedsIt) {
    EXPECT_TRUE(needed(pte(page), pte(with(read_write))));
    EXPECT_TRUE(needed(pte(page), pte(with(read_execute))));
    EXPECT_TRUE(needed(pte(page), pte(with(execute_only))));
    EXPECT_TRUE(needed(pte(page), Entry{}));
    EXPECT_TRUE(needed(pte(with(read_only)), pte(with(execute_only)))) << "one comes, one goes";
}

TEST(EptInvalidation, GivingARightDoesNot) {
    EXPECT_FALSE(needed(pte(with(read_only)), pte(with(read_write))));
    EXPECT_FALSE(needed(pte(with(read_only)), pte(page)));
    EXPECT_FALSE(needed(pte(page), pte(page)));
}

TEST(EptInvalidation, FillingAnEmptyEntryDoesNot) {
    EXPECT_FALSE(needed(Entry{}, pte(page)));
    EXPECT_FALSE(needed(Entry{0x1234'5000}, pte(page))) << "not present, whatever else is in it";
}

TEST(EptInvalidation, AnotherAddressNeedsIt) {
    EXPECT_TRUE(needed(pte(page), pte({.physical = host(0x6000), .rights = everything})));
}

TEST(EptInvalidation, AnotherMemoryTypeNeedsIt) {
    Leaf other = page;
    other.type = MemoryType::uncacheable;
    EXPECT_TRUE(needed(pte(page), pte(other)));
    EXPECT_TRUE(needed(pte(page), Entry{pte(page).raw() | 1U << 6})) << "ignore PAT";
}

TEST(EptInvalidation, AnotherSizeNeedsIt) {
    const Entry large =
        Entry::mapping(Level::directory, {.physical = host(0), .rights = everything});
    EXPECT_TRUE(needed(large, Entry{large.raw() & ~0x80ULL}, Level::directory));
}

TEST(EptInvalidation, ClearingAccessedOrDirtyNeedsIt) {
    EXPECT_TRUE(needed(Entry{pte(page).raw() | 1U << 8}, pte(page)));
    EXPECT_TRUE(needed(Entry{pte(page).raw() | 1U << 9}, pte(page)));
    EXPECT_FALSE(needed(pte(page), Entry{pte(page).raw() | 3U << 8}));
}

class Invalidate : public testing::Test {
protected:
    Invalidate() { arch::processor = {}; }
    const PendingInvalidation pending{
        .pointer = pointer_to(host(0x9000)),
        .processors = arch::ProcessorSet::only(1) | arch::ProcessorSet::only(3)};
};

TEST_F(Invalidate, ExecutesTheSingleContextTypeWithThePointer) {
    EXPECT_TRUE(invalidate_here(pending, 3, all_capabilities));
    EXPECT_EQ(arch::processor.read("INVEPT 1"), 0x901EU);
    EXPECT_THAT(arch::processor.written, testing::ElementsAre("INVEPT 1"));
}

TEST_F(Invalidate, DoesNothingOnAProcessorThatIsNotConcerned) {
    EXPECT_TRUE(invalidate_here(pending, 2, all_capabilities));
    EXPECT_THAT(arch::processor.written, testing::IsEmpty());
}

// A shift by 64 is undefined, and on a processor it is one by 0: number 64 would be number 0.
TEST_F(Invalidate, KnowsMoreThan64Processors) {
    for (const std::uint32_t number : {63U, 64U, 300U, 511U}) {
        arch::processor = {};
        const PendingInvalidation one{.pointer = pointer_to(host(0x9000)),
                                      .processors = arch::ProcessorSet::only(number)};
        EXPECT_FALSE(one.empty());
        EXPECT_TRUE(invalidate_here(one, number % 64, all_capabilities));
        EXPECT_EQ(arch::processor.written.size(), number < 64 ? 1U : 0U) << number;
        arch::processor = {};
        EXPECT_TRUE(invalidate_here(one, number, all_capabilities));
        EXPECT_THAT(arch::processor.written, testing::ElementsAre("INVEPT 1")) << number;
    }
}

TEST_F(Invalidate, ChecksTheResultOfTheInstruction) {
    arch::processor.refused["INVEPT"] = arch::VmxResult::fail_valid;
    EXPECT_EQ(invalidate_here(pending, 1, all_capabilities).error(), InvalidationError::refused);
}

TEST_F(Invalidate, AsksTheProcessorFirst) {
    Capability without = all_capabilities;
    without.invept_single_context = 0;
    EXPECT_EQ(invalidate_here(pending, 1, without).error(), InvalidationError::not_supported);
    EXPECT_THAT(arch::processor.written, testing::IsEmpty());
}

}  // namespace
}  // namespace hvp::ept
