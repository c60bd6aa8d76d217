// The identity: every leaf of it, how many tables it takes, and that it follows the MTRRs.
#include "hypervisor/ept/identity.hpp"

#include <gtest/gtest.h>

#include "tests/unit/arch/mtrr_settings.hpp"
#include "tests/unit/ept/memory.hpp"

namespace hvp::ept {
namespace {

using arch::MtrrSnapshot;
using arch::RandomMtrrs;

Limits limits_of(std::uint32_t bits, bool gb, bool mb) {
    Limits limits{.capability = all_capabilities, .physical_address_bits = bits};
    limits.capability.pages_1_gb = gb ? 1 : 0;
    limits.capability.pages_2_mb = mb ? 1 : 0;
    return limits;
}

/// Looks at each page of the EPT, whatever its size.
void expect_identity(const Tables& tables, const MtrrSnapshot& mtrrs, RandomMtrrs& random) {
    const std::uint64_t end = identity_end(tables.limits());
    PageCounts counts;
    for (std::uint64_t address = 0; address < end;) {
        const Walk walk = tables.walk(guest(address));
        ASSERT_EQ(walk.end, WalkEnd::page) << std::hex << address;
        ASSERT_EQ(walk.physical.raw(), address);
        ASSERT_EQ(walk.rights, everything);
        ASSERT_FALSE(walk.last().entry.ignores_pat());
        const std::uint64_t bytes = bytes_of_entry(walk.last().level);
        for (const std::uint64_t offset : {std::uint64_t{0}, bytes - 1, random.below(bytes)}) {
            ASSERT_EQ(walk.type, arch::by_the_text(mtrrs, address + offset)) << std::hex << address;
        }
        ++counts.of_level[static_cast<std::size_t>(walk.last().level) - 1];
        address += bytes;
    }
    ASSERT_EQ(tables.count_pages().of_level, counts.of_level);
    if (end < 1ULL << 48) {
        ASSERT_EQ(tables.walk(guest(end)).end, WalkEnd::not_present);
    }
}

TEST(EptIdentity, MapsEveryAddressToItselfWithItsType) {
    RandomMtrrs random{7};
    for (std::uint32_t bits = 36; bits <= 46; ++bits) {
        for (int setting = 0; setting < 6; ++setting) {
            const MtrrSnapshot mtrrs = random.next(bits, false);
            const Limits limits = limits_of(bits, bits > 38 || setting % 2 == 0, true);
            const auto count = identity_table_count(mtrrs, limits);
            ASSERT_TRUE(count);
            PoolMemory memory{*count};
            Tables tables{*Tables::create(memory.pool, limits)};
            ASSERT_TRUE(map_identity(tables, mtrrs)) << "the tables were counted too low";
            ASSERT_EQ(memory.pool.free(), 0U) << "the tables were counted too high";
            expect_identity(tables, mtrrs, random);
        }
    }
}

TEST(EptIdentity, PutsEachBitOfTheAddressToTheProof) {
    // The pages at the ends, and at each power of two: where 32-bit or signed arithmetic fails.
    const MtrrSnapshot mtrrs = arch::of_machine(4096, 46);
    PoolMemory memory{*identity_table_count(mtrrs, limits_of(46, true, true))};
    Tables tables{*Tables::create(memory.pool, limits_of(46, true, true))};
    ASSERT_TRUE(map_identity(tables, mtrrs));
    for (std::uint32_t bit = 0; bit < 46; ++bit) {
        EXPECT_EQ(tables.walk(guest(1ULL << bit)).physical.raw(), 1ULL << bit);
        EXPECT_EQ(tables.walk(guest((1ULL << bit) - 1)).physical.raw(), (1ULL << bit) - 1);
    }
    EXPECT_EQ(tables.walk(guest(0xFEE0'0000)).type, MemoryType::uncacheable) << "the local APIC";
}

// One PML4 table, two page-directory-pointer tables for 1 TByte, and for the first megabyte with
// its fixed ranges one directory and one page table: all ranges of memory are whole gigabytes.
TEST(EptIdentity, TakesFiveTablesFor40BitsWith1GbPages) {
    EXPECT_EQ(identity_table_count(arch::of_machine(4096, 40), limits_of(40, true, true)), 5U);
    EXPECT_EQ(identity_table_count(arch::of_machine(4096, 40), limits_of(40, false, true)),
              1U + 2 + 1024 + 1);
    MtrrSnapshot disabled = arch::of_machine(4096, 40);
    disabled.default_type.enabled = 0;
    EXPECT_EQ(identity_table_count(disabled, limits_of(40, true, true)), 3U);
    // 512 MBytes: the first gigabyte has two types, but needs no further table for that.
    EXPECT_EQ(identity_table_count(arch::of_machine(512, 40), limits_of(40, true, true)), 5U);
}

TEST(EptIdentity, WithSmallPagesOnlyIsCountedAsWell) {
    EXPECT_EQ(identity_table_count(arch::of_machine(64, 36), limits_of(36, false, false)),
              1U + 1 + 64 + 64 * 512);
    const Limits limits = limits_of(28, false, false);
    const MtrrSnapshot mtrrs = arch::of_machine(64, 28);
    PoolMemory memory{*identity_table_count(mtrrs, limits), mb_2};
    EXPECT_EQ(memory.pool.size(), 1U + 1 + 1 + 128);
    Tables tables{*Tables::create(memory.pool, limits)};
    ASSERT_TRUE(map_identity(tables, mtrrs));
    EXPECT_EQ(memory.pool.free(), 0U);
    RandomMtrrs random{1};
    expect_identity(tables, mtrrs, random);
}

TEST(EptIdentity, SaysWhenItWouldBeTooLarge) {
    constexpr std::uint64_t odd_pages = 0x1800;
    const MtrrSnapshot stripes = arch::with_pairs({{0x1006, odd_pages}});
    EXPECT_FALSE(identity_table_count(stripes, limits_of(46, true, true), 200));
    EXPECT_EQ(identity_table_count(stripes, limits_of(30, true, true), 4000), 1U + 1 + 1 + 512);
    PoolMemory memory{10};
    Tables tables{*Tables::create(memory.pool, limits_of(40, true, true))};
    EXPECT_EQ(map_identity(tables, stripes).error(), EditError::no_table_left);
    EXPECT_FALSE(update_memory_types(tables, {}, stripes).complete);
}

class EptTypeUpdate : public testing::Test {
protected:
    static constexpr std::uint32_t bits = 36;
    const Limits limits_ = limits_of(bits, true, true);
    RandomMtrrs random_{11};
    PoolMemory memory_{400};
    Tables tables_{*Tables::create(memory_.pool, limits_)};
};

TEST_F(EptTypeUpdate, GivesWhatMappingAnewWouldGive) {
    MtrrSnapshot now = arch::of_machine(512, bits);
    ASSERT_TRUE(map_identity(tables_, now));
    tables_.attach(3);
    for (int i = 0; i < 200; ++i) {
        MtrrSnapshot after = now;
        switch (random_.below(4)) {
            case 0:  // as around each change of MTRRs
                after.default_type.enabled = 1 - after.default_type.enabled;
                break;
            case 1:
                after.variable[random_.below(10)] = random_.next(bits, false).variable[0];
                break;
            case 2:
                after.fixed[random_.below(11)] = random_.next(bits, false).fixed[0];
                break;
            default:
                after = random_.next(bits, false);
        }
        const MemoryTypeUpdate done = update_memory_types(tables_, now, after);
        ASSERT_TRUE(done.complete);
        ASSERT_TRUE(done.pending.empty() || done.pending.processors == arch::ProcessorSet::only(3));
        tables_.flush_done(done.pending);
        now = after;
        expect_identity(tables_, now, random_);
        ASSERT_EQ(memory_.pool.used(), identity_table_count(now, limits_));
        ASSERT_EQ(memory_.pool.free() + memory_.pool.used(), memory_.pool.size());
    }
}

TEST_F(EptTypeUpdate, ChangesNothingWhereNothingChanged) {
    const MtrrSnapshot mtrrs = arch::of_machine(512, bits);
    ASSERT_TRUE(map_identity(tables_, mtrrs));
    tables_.attach(0);
    MtrrSnapshot other_way = mtrrs;
    std::swap(other_way.variable[0], other_way.variable[9]);
    const MemoryTypeUpdate done = update_memory_types(tables_, mtrrs, other_way);
    EXPECT_TRUE(done.complete);
    EXPECT_TRUE(done.pending.empty());
}

TEST_F(EptTypeUpdate, LeavesPinnedPagesAlone) {
    const MtrrSnapshot before = arch::of_machine(512, bits);
    ASSERT_TRUE(map_identity(tables_, before));
    const Leaf decoy{.physical = host(0x7000), .rights = read_write};
    ASSERT_TRUE(
        tables_.map({.guest = guest(gb_1 + kb_4), .bytes = kb_4, .to = decoy, .pinned = true}));
    for (const MtrrSnapshot& after :
         {arch::of_machine(2048, bits), MtrrSnapshot{}, arch::of_machine(64, bits)}) {
        ASSERT_TRUE(update_memory_types(tables_, before, after).complete);
        ASSERT_TRUE(update_memory_types(tables_, MtrrSnapshot{}, after).complete);
        const Walk walk = tables_.walk(guest(gb_1 + kb_4));
        EXPECT_EQ(walk.physical.raw(), 0x7000U);
        EXPECT_EQ(walk.rights, read_write);
        EXPECT_EQ(walk.type, MemoryType::write_back);
        EXPECT_EQ(tables_.walk(guest(gb_1)).physical.raw(), gb_1);
        EXPECT_EQ(memory_.pool.used(), *identity_table_count(after, limits_) + 2);
    }
}

TEST_F(EptTypeUpdate, KeepsWhatTheProcessorHasNotedOfAPage) {
    const MtrrSnapshot before = arch::of_machine(512, bits);
    ASSERT_TRUE(map_identity(tables_, before));
    const auto entry = [this] { return tables_.walk(guest(7 * gb_1)).last().entry; };
    static_cast<void>(
        tables_.write_raw(guest(7 * gb_1), Level::pointers, Entry{entry().raw() | 3U << 8}));
    MtrrSnapshot after = before;
    after.default_type.type = 6;
    ASSERT_TRUE(update_memory_types(tables_, before, after).complete);
    EXPECT_EQ(entry().leaf(Level::pointers).type, MemoryType::write_back);
    EXPECT_TRUE(entry().accessed());
    EXPECT_TRUE(entry().dirty());
}

TEST_F(EptTypeUpdate, NeedsRoomForTheTablesOfBefore) {
    const MtrrSnapshot one = arch::with_pairs({{0x0010'0006, 0xF'FFF0'0800}});
    const MtrrSnapshot two = arch::with_pairs({{0x9'0010'0006, 0xF'FFF0'0800}});
    for (const std::size_t pages : {4U, 6U}) {
        PoolMemory memory{pages};
        Tables tables{*Tables::create(memory.pool, limits_)};
        ASSERT_TRUE(map_identity(tables, one));
        tables.attach(0);
        ASSERT_EQ(memory.pool.used(), 4U);
        const MemoryTypeUpdate done = update_memory_types(tables, one, two);
        EXPECT_EQ(done.complete, pages == 6);
        EXPECT_EQ(done.pending.empty(), pages == 4);
        tables.flush_done(done.pending);
        EXPECT_EQ(memory.pool.used(), 4U);
        expect_identity(tables, done.complete ? two : one, random_);
    }
}

// However many tables are left, and so wherever they run out.
TEST_F(EptTypeUpdate, ChangesAllOrNothing) {
    const MtrrSnapshot before =
        arch::with_pairs({{0x0010'0006, 0xF'FFF0'0800}, {0x1'4010'0006, 0xF'FFFF'0800}});
    const MtrrSnapshot after = arch::with_pairs({{0x4'0010'0006, 0xF'FFF0'0800},
                                                 {0x5'0010'0006, 0xF'FFFF'0800},
                                                 {0x6'0010'0006, 0xF'FFFF'F800}});
    const std::size_t used = *identity_table_count(before, limits_);
    std::size_t incomplete = 0;
    for (std::size_t pages = *identity_table_count(after, limits_); pages < 20; ++pages) {
        PoolMemory memory{pages};
        Tables tables{*Tables::create(memory.pool, limits_)};
        ASSERT_TRUE(map_identity(tables, before));
        tables.attach(0);
        const MemoryTypeUpdate done = update_memory_types(tables, before, after);
        tables.flush_done(done.pending);
        const MtrrSnapshot& now = done.complete ? after : before;
        expect_identity(tables, now, random_);
        ASSERT_EQ(memory.pool.used(), *identity_table_count(now, limits_)) << pages;
        incomplete += done.complete ? 0 : 1;
    }
    EXPECT_GE(incomplete, 3U) << "after one table, after two, and so on; " << used << " at first";
}

}  // namespace
}  // namespace hvp::ept
