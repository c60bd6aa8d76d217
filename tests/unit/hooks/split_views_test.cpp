// Split pages in the views of one machine: one page, hidden pages, changed MTRRs.
#include "tests/unit/hooks/split_views_machine.hpp"

namespace hvp::ept {
namespace {

constexpr std::uint64_t page = 0x40'5000;
constexpr std::uint64_t caller = 0x50'0000;

TEST_F(EptViews, CallsRunTheCodeFrameAndOperandsAreInTheDataFrame) {
    ASSERT_TRUE(views_.add(split(page, 0)));
    flush();
    const std::byte code = byte_at(frames_start + 8);
    for (int i = 0; i < 1000; ++i) {
        execute(0, {.rip = page + 8});
        execute(0, {.rip = caller, .operands = {{.address = page + 8, .bytes = 8}}});
        execute(0, {.rip = caller,
                    .operands = {{.address = page + 8, .written = static_cast<std::byte>(i)}}});
    }
    EXPECT_EQ(processors_[0].violations, 2000U) << "one for each change of view, no other";
    EXPECT_EQ(processors_[0].steps, 0U);
    EXPECT_EQ(byte_at(page + 8), static_cast<std::byte>(999));
    EXPECT_EQ(byte_at(frames_start + 8), code) << "the code frame stays";
}

TEST_F(EptViews, AnInstructionThatReadsAndWritesItsOwnPageIsRightInOneStep) {
    ASSERT_TRUE(views_.add(split(page, 0)));
    flush();
    for (int i = 0; i < 1000; ++i) {
        const auto value = static_cast<std::byte>(i);
        execute(0, {.rip = page + 8,
                    .operands = {{.address = page + 64, .bytes = 16},
                                 {.address = page + 32, .written = value}}});
        ASSERT_EQ(byte_at(page + 32), value);
    }
    EXPECT_EQ(processors_[0].steps, 1000U);
    EXPECT_EQ(processors_[0].violations, 1U + 1000) << "the first fetch, then one for each operand";
}

TEST_F(EptViews, ARemovedSplitPageIsAsBeforeAndNoTableIsLost) {
    std::vector<Walk> before;
    for (std::uint64_t address = 0; address < 2 * mb_2; address += kb_4) {
        before.push_back(views_.tables(View::data, 0).walk(guest(0x40'0000 + address)));
    }
    ASSERT_TRUE(views_.add(split(page, 0)));
    ASSERT_TRUE(views_.add(split(page + gb_1, 1)));
    flush();
    const Walk split = views_.tables(View::data, 0).walk(guest(page + kb_4));
    EXPECT_EQ(split.last().level, Level::page_table);
    EXPECT_EQ(split.physical.raw(), page + kb_4);
    EXPECT_EQ(split.rights, everything);
    EXPECT_EQ(split.type, before[6].type);
    EXPECT_EQ(views_.tables(View::code, 0).pool().used(), 1U + 2 + 2 + 1)
        << "tables for each of two gigabytes, below one page-directory-pointer table";
    EXPECT_TRUE(views_.remove(guest(page)));
    EXPECT_FALSE(views_.remove(guest(page)));
    EXPECT_TRUE(views_.remove(guest(page + gb_1)));
    flush();
    for (std::uint32_t i = 0; i < processor_count; ++i) {
        for (const View view : {View::data, View::code, View::step}) {
            EXPECT_EQ(views_.tables(view, i).pool().used(), 1U);
            EXPECT_EQ(views_.tables(view, i).pool().retired(), 0U);
        }
    }
    for (std::uint64_t i = 0; i < before.size(); ++i) {
        const Walk now = views_.tables(View::data, 0).walk(guest(0x40'0000 + i * kb_4));
        ASSERT_EQ(now.last().entry, before[i].last().entry);
        ASSERT_EQ(now.physical.raw(), before[i].physical.raw());
    }
}

TEST_F(EptViews, AStepOfOneProcessorLeavesNothingPendingOnAnother) {
    ASSERT_TRUE(views_.add(split(page, 0)));
    flush();
    execute(2, {.rip = page, .operands = {{.address = page + 64}}});
    for (const std::uint32_t other : {0U, 1U, 3U}) {
        EXPECT_TRUE(views_.pending_on(other)[0].empty());
    }
}

TEST_F(EptViews, APageIsSplitInAllViewsOrInNone) {
    std::uint64_t added = 0;
    std::expected<void, SplitPageError> result;
    while ((result = views_.add(split(added * gb_1 + page, added)))) {
        ++added;
    }
    EXPECT_EQ(result.error(), SplitPageError::no_table_left);
    EXPECT_EQ(added, (SplitViews::pages_of_view(regions) - 2) / 2)
        << "two tables for each gigabyte";
    EXPECT_EQ(views_.split_pages().all().size(), added);
    flush();
    for (std::uint32_t i = 0; i < processor_count; ++i) {
        for (const View view : {View::data, View::code, View::step}) {
            const Walk walk = views_.tables(view, i).walk(guest(added * gb_1 + page));
            EXPECT_EQ(walk.physical.raw(), added * gb_1 + page);
            EXPECT_EQ(walk.rights, everything);
        }
    }
    EXPECT_EQ(views_.add({.page = guest(page + kb_4), .data = host(1ULL << bits), .code = host(0)})
                  .error(),
              SplitPageError::out_of_range);
}

TEST_F(EptViews, AccessesOfHiddenPagesFindTheDecoy) {
    constexpr std::uint64_t decoy = frames_start + 2 * gb_1;
    memory(decoy).fill(std::byte{0});
    ASSERT_TRUE(views_.add(split(page, 0)));
    ASSERT_TRUE(views_.hide(guest(page + kb_4), 3 * kb_4, host(decoy)));
    flush();
    for (std::uint32_t i = 0; i < processor_count; ++i) {
        for (const View view : {View::data, View::code, View::step}) {
            for (std::uint64_t at = page + kb_4; at < page + 4 * kb_4; at += kb_4) {
                const Walk walk = views_.tables(view, i).walk(guest(at));
                ASSERT_EQ(walk.physical.raw(), decoy);
                ASSERT_EQ(walk.rights, read_write);
            }
            EXPECT_EQ(views_.tables(view, i).walk(guest(page + 4 * kb_4)).rights, everything);
        }
    }
    EXPECT_TRUE(views_.remove(guest(page)));
    flush();
    EXPECT_EQ(views_.tables(View::code, 1).walk(guest(page + kb_4)).physical.raw(), decoy);
    EXPECT_EQ(views_.tables(View::code, 1).pool().used(), 1U) << "the identity has the decoys";
}

TEST_F(EptViews, FollowTheMtrrs) {
    ASSERT_TRUE(views_.add(split(page, 0)));
    ASSERT_TRUE(views_.hide(guest(0x60'0000), kb_4, host(0x7000)));
    flush();
    arch::MtrrSnapshot after = arch::of_machine(2048, bits);
    after.default_type.enabled = 0;
    ASSERT_TRUE(views_.update_memory_types(after));
    EXPECT_FALSE(views_.pending_on(1)[0].empty());
    flush();
    for (const View view : {View::data, View::code, View::step}) {
        Tables& tables = views_.tables(view, 1);
        for (const std::uint64_t at : {page, page + kb_4, 5 * gb_1}) {
            EXPECT_EQ(tables.walk(guest(at)).type, MemoryType::uncacheable);
        }
        EXPECT_EQ(tables.walk(guest(page)).rights, view == View::code ? execute_only : read_write);
        EXPECT_EQ(tables.walk(guest(0x60'0000)).physical.raw(), 0x7000U);
    }
}

}  // namespace
}  // namespace hvp::ept
