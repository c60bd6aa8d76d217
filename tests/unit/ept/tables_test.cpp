// The mapper, the editor and the walker, case by case.
#include "hypervisor/ept/tables.hpp"

#include <gtest/gtest.h>

#include <optional>

#include "tests/unit/ept/memory.hpp"

namespace hvp::ept {
namespace {

class EptTables : public testing::Test {
protected:
    PoolMemory memory{64};
    Tables tables{*Tables::create(memory.pool, all_limits)};

    PendingInvalidation map(std::uint64_t from, std::uint64_t bytes, std::uint64_t to,
                            Level largest = Level::page_table, Rights rights = everything) {
        const auto pending = tables.map({.guest = guest(from),
                                         .bytes = bytes,
                                         .to = {.physical = host(to), .rights = rights},
                                         .largest = largest});
        EXPECT_TRUE(pending);
        return pending.value_or(PendingInvalidation{});
    }
};

TEST_F(EptTables, AnEmptyOneExplainsNothing) {
    const Walk walk = tables.walk(guest(0x1234));
    EXPECT_EQ(walk.end, WalkEnd::not_present);
    EXPECT_EQ(walk.last().level, Level::pml4);
    EXPECT_EQ(walk.step_count, 1U);
    EXPECT_EQ(tables.walk(guest(1ULL << 48)).end, WalkEnd::address_too_wide);
    EXPECT_EQ(memory.pool.used(), 1U);
}

TEST_F(EptTables, APageOf4KilobytesTakesThreeTables) {
    EXPECT_TRUE(map(0x7654'3000, kb_4, 0xABC'D000, Level::page_table, read_execute).empty());
    EXPECT_EQ(memory.pool.used(), 4U);
    const Walk walk = tables.walk(guest(0x7654'3210));
    EXPECT_EQ(walk.end, WalkEnd::page);
    EXPECT_EQ(walk.physical.raw(), 0xABC'D210U);
    EXPECT_EQ(walk.rights, read_execute);
    EXPECT_EQ(walk.type, MemoryType::write_back);
    EXPECT_EQ(walk.step_count, 4U);
    EXPECT_EQ(walk.steps[0].index, 0U);
    EXPECT_EQ(walk.steps[1].index, 1U);
    EXPECT_EQ(walk.steps[2].index, 0x1B2U);
    EXPECT_EQ(walk.steps[3].index, 0x143U);
    EXPECT_EQ(tables.walk(guest(0x7654'4000)).last().level, Level::page_table);
}

TEST_F(EptTables, TheLargestPagesThatFitAreTaken) {
    static_cast<void>(map(gb_1 - kb_4, 2 * gb_1, 3 * gb_1 - kb_4, Level::pointers));
    EXPECT_EQ(tables.walk(guest(gb_1 - 1)).last().level, Level::page_table);
    EXPECT_EQ(tables.walk(guest(gb_1)).last().level, Level::pointers);
    EXPECT_EQ(tables.walk(guest(2 * gb_1)).last().level, Level::directory);
    EXPECT_EQ(tables.walk(guest(3 * gb_1 - mb_2)).last().level, Level::page_table);
    EXPECT_EQ(tables.walk(guest(3 * gb_1 - kb_4)).end, WalkEnd::not_present);
    EXPECT_EQ(tables.walk(guest(2 * gb_1 + 5)).physical.raw(), 4 * gb_1 + 5);
}

TEST_F(EptTables, AProcessorWithoutLargePagesGetsSmallOnes) {
    Limits limits = all_limits;
    limits.capability.pages_1_gb = 0;
    Tables small{*Tables::create(memory.pool, limits)};
    EXPECT_TRUE(small.map({.guest = guest(0),
                           .bytes = gb_1,
                           .to = {.physical = host(0), .rights = everything},
                           .largest = Level::pointers}));
    EXPECT_EQ(small.walk(guest(0)).last().level, Level::directory);
}

TEST_F(EptTables, ALargePageIsSplitWhereAPartChanges) {
    tables.attach(2);
    static_cast<void>(map(0, mb_2, mb_2, Level::directory, read_execute));
    const PendingInvalidation pending = map(kb_4, kb_4, 0x7000);
    EXPECT_EQ(pending.processors, arch::ProcessorSet::only(2));
    EXPECT_EQ(tables.walk(guest(kb_4)).physical.raw(), 0x7000U);
    EXPECT_EQ(tables.walk(guest(2 * kb_4)).physical.raw(), mb_2 + 2 * kb_4);
    EXPECT_EQ(tables.walk(guest(0)).rights, read_execute);
    EXPECT_EQ(tables.walk(guest(mb_2 - 1)).physical.raw(), 2 * mb_2 - 1);
}

TEST_F(EptTables, ATableIsNotUsedAgainBeforeItsInvalidation) {
    tables.attach(0);
    static_cast<void>(map(0, kb_4, 0));
    const auto pending = tables.unmap(guest(0), kb_4);
    ASSERT_TRUE(pending);
    EXPECT_EQ(pending->processors, arch::ProcessorSet::only(0));
    EXPECT_EQ(memory.pool.retired(), 3U);
    static_cast<void>(
        map(gb_512, kb_4, 0));  // leaves nothing pending, and must not free what is retired
    EXPECT_EQ(memory.pool.retired(), 3U);
    tables.flush_done(*pending);
    EXPECT_EQ(memory.pool.retired(), 0U);
    EXPECT_EQ(memory.pool.used(), 4U);
}

TEST_F(EptTables, EachOfTwoInvalidationsIsWaitedFor) {
    tables.attach(0);
    static_cast<void>(map(0, kb_4, 0));
    static_cast<void>(map(gb_512, kb_4, 0));
    const auto first = tables.unmap(guest(0), kb_4);
    const auto second = tables.unmap(guest(gb_512), kb_4);
    tables.flush_done(*second);
    EXPECT_EQ(memory.pool.retired(), 6U);
    tables.flush_done(*first);
    EXPECT_EQ(memory.pool.retired(), 0U);
}

TEST_F(EptTables, OnlyProcessorsThatUseItAreConcerned) {
    static_cast<void>(map(0, kb_4, 0));
    EXPECT_TRUE(map(0, kb_4, kb_4).empty()) << "no processor uses it";
    tables.attach(0);
    tables.attach(5);
    EXPECT_EQ(map(0, kb_4, 0).processors,
              arch::ProcessorSet::only(0) | arch::ProcessorSet::only(5));
    tables.detach(0);
    EXPECT_EQ(map(0, kb_4, kb_4).processors, arch::ProcessorSet::only(5));
    tables.attach(64);
    tables.attach(300);
    tables.detach(5);
    EXPECT_EQ(map(0, kb_4, 0).processors,
              arch::ProcessorSet::only(64) | arch::ProcessorSet::only(300));
}

TEST_F(EptTables, RefusesWhatAProcessorWouldRefuse) {
    const auto refused = [&](std::uint64_t from, std::uint64_t bytes, Leaf to) {
        const auto pending = tables.map({.guest = guest(from), .bytes = bytes, .to = to});
        return pending ? std::optional<EditError>{} : pending.error();
    };
    const auto page = [](std::uint64_t raw, Rights rights = everything) {
        return Leaf{.physical = host(raw), .rights = rights};
    };
    EXPECT_EQ(refused(1, kb_4, page(0)), EditError::not_aligned);
    EXPECT_EQ(refused(0, kb_4 + 1, page(0)), EditError::not_aligned);
    EXPECT_EQ(refused(0, kb_4, page(0x800)), EditError::not_aligned);
    EXPECT_EQ(refused((1ULL << 48) - kb_4, 2 * kb_4, page(0)), EditError::out_of_range);
    EXPECT_EQ(refused(0, kb_4, page(1ULL << 46)), EditError::out_of_range);
    EXPECT_EQ(refused(0, 2 * kb_4, page((1ULL << 46) - kb_4)), EditError::out_of_range);
    EXPECT_EQ(refused(0, kb_4, page(0, {.write = true})), EditError::would_misconfigure);
    EXPECT_EQ(refused(0, kb_4, page(0, {})), EditError::would_misconfigure);
    Leaf strange = page(0);
    strange.type = static_cast<MemoryType>(7);
    EXPECT_EQ(refused(0, kb_4, strange), EditError::would_misconfigure);
    EXPECT_EQ(memory.pool.used(), 1U);
}

TEST_F(EptTables, AnEditHappensWholeOrNotAtAll) {
    PoolMemory little{4};
    Tables small{*Tables::create(little.pool, all_limits)};
    const auto pending = small.map({.guest = guest(mb_2 - kb_4),
                                    .bytes = 2 * kb_4,
                                    .to = {.physical = host(0), .rights = everything}});
    EXPECT_EQ(pending.error(), EditError::no_table_left);
    EXPECT_EQ(little.pool.used(), 1U);
    EXPECT_EQ(small.walk(guest(mb_2 - kb_4)).end, WalkEnd::not_present);
    PoolMemory nothing{0};
    EXPECT_EQ(Tables::create(nothing.pool, all_limits).error(), EditError::no_table_left);
}

TEST_F(EptTables, TheWalkerNamesTheRuleThatAnEntryBreaks) {
    tables.attach(1);
    static_cast<void>(map(0, kb_4, 0));
    EXPECT_TRUE(tables.write_raw(guest(0), Level::page_table, Entry{0x3F}).processors.has(1));
    Walk walk = tables.walk(guest(0));
    EXPECT_EQ(walk.end, WalkEnd::misconfigured);
    EXPECT_EQ(walk.rule, Misconfiguration::memory_type);
    EXPECT_EQ(walk.last().level, Level::page_table);
    static_cast<void>(tables.write_raw(guest(0), Level::directory, Entry{1ULL << 50 | 7}));
    walk = tables.walk(guest(0));
    EXPECT_EQ(walk.rule, Misconfiguration::reserved_bit);
    EXPECT_EQ(walk.last().level, Level::directory);
    static_cast<void>(tables.write_raw(guest(0), Level::directory, Entry{0x7}));
    EXPECT_EQ(tables.walk(guest(0)).end, WalkEnd::foreign_table);
    static_cast<void>(tables.write_raw(guest(0), Level::directory, Entry{}));
}

TEST_F(EptTables, RightsAreWhatAllEntriesAllow) {
    static_cast<void>(map(0, kb_4, 0));
    const Entry above = tables.walk(guest(0)).steps[2].entry;
    static_cast<void>(tables.write_raw(guest(0), Level::directory, Entry{above.raw() & ~2ULL}));
    EXPECT_EQ(tables.walk(guest(0)).rights, read_execute);
}

TEST_F(EptTables, SplitAndMergeKeepAllButTheSize) {
    tables.attach(1);
    ASSERT_TRUE(tables.map({.guest = guest(gb_1),
                            .bytes = gb_1,
                            .to = {.physical = host(2 * gb_1),
                                   .rights = read_execute,
                                   .type = MemoryType::write_through},
                            .largest = Level::pointers}));
    const Entry before = tables.walk(guest(gb_1)).last().entry;
    const auto split = tables.split(guest(gb_1 + 5 * mb_2), Level::page_table);
    ASSERT_TRUE(split);
    EXPECT_FALSE(split->empty());
    for (const std::uint64_t offset : {std::uint64_t{0}, 5 * mb_2 + kb_4, gb_1 - 1}) {
        const Walk walk = tables.walk(guest(gb_1 + offset));
        EXPECT_EQ(walk.physical.raw(), 2 * gb_1 + offset);
        EXPECT_EQ(walk.rights, read_execute);
        EXPECT_EQ(walk.type, MemoryType::write_through);
    }
    EXPECT_EQ(tables.walk(guest(gb_1 + 5 * mb_2)).last().level, Level::page_table);
    EXPECT_EQ(tables.walk(guest(gb_1 + 6 * mb_2)).last().level, Level::directory);
    const std::array<std::uint64_t, 3> all_parts{512, 511, 0};
    EXPECT_EQ(tables.count_pages().of_level, all_parts);
    EXPECT_EQ(tables.merge(guest(gb_1), Level::pointers).error(), EditError::not_one_page)
        << "one part is not a page of 2 MBytes";
    ASSERT_TRUE(tables.merge(guest(gb_1 + 5 * mb_2), Level::directory));
    const auto merged = tables.merge(guest(gb_1), Level::pointers);
    ASSERT_TRUE(merged);
    EXPECT_EQ(merged->processors, arch::ProcessorSet::only(1));
    EXPECT_EQ(tables.walk(guest(gb_1)).last().entry, before);
}

/// What a processor finds that walks now.
struct Seen {
    Level level{};
    bool execute{};

    friend bool operator==(const Seen&, const Seen&) = default;
};

// A fetch that meets two sizes of an executable page in the TLB stops some processors. So in no two
// states between which there is no INVEPT is the page executable in two sizes.
TEST_F(EptTables, TheSizeOfAPageChangesWhileItIsNotExecutable) {
    tables.attach(1);
    tables.attach(2);
    const auto all = arch::ProcessorSet::only(1) | arch::ProcessorSet::only(2);
    ASSERT_TRUE(tables.map({.guest = guest(0),
                            .bytes = mb_2,
                            .to = {.physical = host(mb_2), .rights = read_execute},
                            .largest = Level::directory}));
    const auto seen = [this] {
        const Walk walk = tables.walk(guest(3 * kb_4));
        EXPECT_TRUE(walk.rights.read) << "data is there all the time";
        EXPECT_EQ(walk.physical.raw(), mb_2 + 3 * kb_4);
        return Seen{.level = walk.last().level, .execute = walk.rights.execute};
    };
    const Entry page = tables.walk(guest(0)).last().entry;
    EXPECT_EQ(seen(), (Seen{Level::directory, true}));
    const auto off = tables.hold_execution(guest(0), Level::directory);
    ASSERT_TRUE(off);
    EXPECT_EQ(off->processors, all);
    EXPECT_EQ(seen(), (Seen{Level::directory, false}));
    ASSERT_TRUE(tables.split(guest(3 * kb_4), Level::page_table));
    EXPECT_EQ(seen(), (Seen{Level::page_table, true}));
    EXPECT_EQ(tables.hold_execution(guest(0), Level::directory)->processors, all);
    EXPECT_EQ(seen(), (Seen{Level::page_table, false}));
    ASSERT_TRUE(tables.merge(guest(0), Level::directory));
    EXPECT_EQ(seen(), (Seen{Level::directory, true}));
    EXPECT_EQ(tables.walk(guest(0)).last().entry, page);

    // The type, by a map over it.
    ASSERT_TRUE(tables.hold_execution(guest(0), Level::directory));
    ASSERT_TRUE(tables.map(
        {.guest = guest(0),
         .bytes = kb_4,
         .to = {
             .physical = host(mb_2), .rights = read_execute, .type = MemoryType::write_through}}));
    EXPECT_EQ(seen(), (Seen{Level::page_table, true}));
    EXPECT_EQ(tables.walk(guest(0)).type, MemoryType::write_through);
    EXPECT_EQ(tables.walk(guest(0)).rights, read_execute);
}

TEST_F(EptTables, ExecuteComesBackWhereItWas) {
    tables.attach(1);
    EXPECT_EQ(tables.hold_execution(guest(0), Level::directory).error(), EditError::not_one_page);
    const auto map_as = [this](Rights rights) {
        ASSERT_TRUE(tables.map({.guest = guest(0),
                                .bytes = mb_2,
                                .to = {.physical = host(mb_2), .rights = rights},
                                .largest = Level::directory}));
    };
    map_as(read_execute);
    ASSERT_TRUE(tables.hold_execution(guest(0), Level::directory));
    EXPECT_TRUE(tables.release_execution(guest(0), Level::directory).empty());
    EXPECT_EQ(tables.walk(guest(0)).rights, read_execute);
    map_as(read_write);
    EXPECT_TRUE(tables.hold_execution(guest(0), Level::directory)->empty()) << "there is nothing";
    ASSERT_TRUE(tables.split(guest(0), Level::page_table));
    EXPECT_EQ(tables.walk(guest(0)).rights, read_write);
    // Without its only right it is not present, and yet a page.
    map_as(execute_only);
    ASSERT_TRUE(tables.hold_execution(guest(0), Level::directory));
    EXPECT_FALSE(tables.walk(guest(0)).rights.any());
    ASSERT_TRUE(tables.split(guest(kb_4), Level::page_table));
    EXPECT_EQ(tables.walk(guest(kb_4)).rights, execute_only);
    EXPECT_EQ(tables.walk(guest(kb_4)).physical.raw(), mb_2 + kb_4);
}

TEST_F(EptTables, AMergedPageIsDirtyIfOneOfItsPartsIs) {
    ASSERT_TRUE(tables.map(
        {.guest = guest(0), .bytes = mb_2, .to = {.physical = host(0), .rights = everything}}));
    const auto note = [this](std::uint64_t address, std::uint64_t flags) {
        const Entry entry = tables.walk(guest(address)).last().entry;
        static_cast<void>(
            tables.write_raw(guest(address), Level::page_table, Entry{entry.raw() | flags}));
    };
    note(3 * kb_4, 1U << 8);
    note(511 * kb_4, 3U << 8);
    ASSERT_TRUE(tables.merge(guest(0), Level::directory));
    const Entry entry = tables.walk(guest(0)).last().entry;
    EXPECT_TRUE(entry.accessed());
    EXPECT_TRUE(entry.dirty());
    ASSERT_TRUE(tables.split(guest(0), Level::page_table));
    EXPECT_TRUE(tables.walk(guest(0)).last().entry.dirty()) << "a part of a dirty page may be";
}

TEST_F(EptTables, OnlyEqualConsecutivePartsAreMerged) {
    const auto refused = [this](std::uint64_t at) {
        const auto merged = tables.merge(guest(at), Level::directory);
        return !merged && merged.error() == EditError::not_one_page;
    };
    EXPECT_TRUE(refused(0)) << "nothing is mapped";
    static_cast<void>(map(0, mb_2, 0));
    const Leaf good{.physical = host(511 * kb_4), .rights = everything};
    for (const Leaf& bad :
         {Leaf{.physical = host(gb_1), .rights = everything},
          Leaf{.physical = good.physical, .rights = read_write},
          Leaf{.physical = good.physical, .rights = everything, .type = MemoryType::uncacheable}}) {
        ASSERT_TRUE(tables.map({.guest = guest(511 * kb_4), .bytes = kb_4, .to = bad}));
        EXPECT_TRUE(refused(0));
    }
    ASSERT_TRUE(tables.map({.guest = guest(511 * kb_4), .bytes = kb_4, .to = good}));
    EXPECT_FALSE(refused(0));
    EXPECT_TRUE(refused(0)) << "it is one already";
    ASSERT_TRUE(tables.map({.guest = guest(mb_2),
                            .bytes = mb_2,
                            .to = {.physical = host(kb_4), .rights = everything}}));
    EXPECT_TRUE(refused(mb_2)) << "not aligned";
    EXPECT_EQ(tables.merge(guest(0), Level::pml4).error(), EditError::would_misconfigure);
}

TEST_F(EptTables, AViewNeverChangesItsBase) {
    static_cast<void>(map(0, mb_2, 0));
    PoolMemory own{8, 0x8000'0000};
    Tables view{*Tables::create_view(own.pool, tables)};
    EXPECT_EQ(own.pool.used(), 1U);
    EXPECT_EQ(view.walk(guest(kb_4)).physical.raw(), kb_4);
    const std::vector<Table> before = memory.pages;
    ASSERT_TRUE(view.map({.guest = guest(kb_4),
                          .bytes = kb_4,
                          .to = {.physical = host(7 * kb_4), .rights = read_only}}));
    EXPECT_EQ(own.pool.used(), 4U) << "a copy of each table on the way";
    EXPECT_EQ(view.walk(guest(kb_4)).physical.raw(), 7 * kb_4);
    EXPECT_EQ(view.walk(guest(2 * kb_4)).physical.raw(), 2 * kb_4);
    EXPECT_EQ(memory.pages, before);
    static_cast<void>(view.restore(guest(kb_4)));
    EXPECT_EQ(own.pool.used(), 1U);
    EXPECT_EQ(memory.pages, before);
}

TEST_F(EptTables, TheirPointerSaysWhetherAccessesAreRecorded) {
    EXPECT_EQ(tables.pointer().accessed_and_dirty, 0U);
    tables.record_accesses();
    EXPECT_EQ(tables.pointer().accessed_and_dirty, 1U);
    PoolMemory own{1, 0x8000'0000};
    EXPECT_EQ(Tables::create_view(own.pool, tables)->pointer().accessed_and_dirty, 1U);
}

TEST(EptTablesAll, GiveEveryPageBack) {
    PoolMemory memory{600};
    {
        Tables tables{*Tables::create(memory.pool, all_limits)};
        tables.attach(0);
        EXPECT_TRUE(tables.map({.guest = guest(kb_4),
                                .bytes = gb_1,
                                .to = {.physical = host(0), .rights = everything}}));
        EXPECT_GT(memory.pool.used(), 512U);
        Tables moved{std::move(tables)};
    }
    EXPECT_EQ(memory.pool.free(), 600U);
}

}  // namespace
}  // namespace hvp::ept
