// The guest's page tables: what the walker says of tables that a test has put together.
#include "hypervisor/guest_memory/page_walk.hpp"

#include <gtest/gtest.h>

#include <map>
#include <random>

namespace hvp::ept {
namespace {

/// Guest memory by quadwords; what was never written is 0, and above `end` there is none.
struct GuestMemory {
    std::map<std::uint64_t, std::uint64_t> words{};
    std::uint64_t end = 1ULL << 40;

    GuestMemoryReader reader() {
        return {[](void* context, arch::GuestPhysicalAddress where, std::uint64_t& value) {
                    auto& self = *static_cast<GuestMemory*>(context);
                    if (where.raw() >= self.end) {
                        return false;
                    }
                    const auto found = self.words.find(where.raw());
                    value = found == self.words.end() ? 0 : found->second;
                    return true;
                },
                this};
    }
};

constexpr GuestPaging paging{
    .cr3 = 0x1000, .physical_address_bits = 40, .no_execute_enabled = true, .pages_1_gb = true};
constexpr std::uint64_t linear = 0xFFFF'F880'1234'5678;
// Bits 47:39, 38:30, 29:21, 20:12 of `linear`.
constexpr std::uint64_t i4 = 0x1F1, i3 = 0, i2 = 0x91, i1 = 0x145;

class GuestPagingTest : public testing::Test {
protected:
    GuestPagingTest() {
        memory.words[0x1000 + 8 * i4] = 0x2003;
        memory.words[0x2000 + 8 * i3] = 0x3003;
        memory.words[0x3000 + 8 * i2] = 0x4003;
        memory.words[0x4000 + 8 * i1] = 0x7F'FFFF'F003;
    }
    GuestWalk walk(GuestPaging with = paging, std::uint64_t address = linear) {
        return walk_guest_tables(with, arch::GuestLinearAddress{address}, memory.reader());
    }
    GuestMemory memory;
};

TEST_F(GuestPagingTest, FourTablesAndAPage) {
    const GuestWalk found = walk();
    EXPECT_EQ(found.end, GuestWalkEnd::page);
    EXPECT_EQ(found.physical.raw(), 0x7F'FFFF'F678U) << "39 bits of address, not 36";
    EXPECT_EQ(found.page_bytes, 4096U);
    EXPECT_EQ(found.step_count, 4U);
    EXPECT_EQ(found.steps[0].table.raw(), 0x1000U);
    EXPECT_EQ(found.steps[3].table.raw(), 0x4000U);
    EXPECT_EQ(found.steps[3].index, i1);
    EXPECT_TRUE(found.writable);
    EXPECT_TRUE(found.executable);
    EXPECT_FALSE(found.user);
}

// CR3 bits 11:0 and 63:52 are no address.  [SDM 3A 4.5 "4-Level Paging and 5-Level Paging"]
TEST_F(GuestPagingTest, OnlyTheAddressOfCr3Counts) {
    GuestPaging with = paging;
    with.cr3 = 0x8000'0000'0000'1FFF;
    EXPECT_EQ(walk(with).end, GuestWalkEnd::page);
}

TEST_F(GuestPagingTest, LargePages) {
    memory.words[0x3000 + 8 * i2] = 0xFF'FFE0'0083 | 1U << 12;  // with its PAT bit
    GuestWalk found = walk();
    EXPECT_EQ(found.end, GuestWalkEnd::page);
    EXPECT_EQ(found.physical.raw(), 0xFF'FFE0'0000U + linear % (1U << 21));
    EXPECT_EQ(found.step_count, 3U);
    EXPECT_EQ(found.page_bytes, 1U << 21);
    memory.words[0x2000 + 8 * i3] = 0xFF'C000'0083;
    found = walk();
    EXPECT_EQ(found.physical.raw(), 0xFF'C000'0000U + linear % (1U << 30));
    EXPECT_EQ(found.step_count, 2U);
}

TEST_F(GuestPagingTest, BitSixIsDirtyAndDoesNotMakeAPageLarge) {
    memory.words[0x3000 + 8 * i2] |= 1U << 6;
    EXPECT_EQ(walk().step_count, 4U);
}

TEST_F(GuestPagingTest, RightsAreThoseOfAllLevels) {
    memory.words[0x2000 + 8 * i3] &= ~2ULL;
    memory.words[0x1000 + 8 * i4] |= 1ULL << 63;
    const GuestWalk found = walk();
    EXPECT_FALSE(found.writable);
    EXPECT_FALSE(found.executable);
    for (auto& [where, word] : memory.words) {
        word |= 4;
    }
    EXPECT_TRUE(walk().user);
}

TEST_F(GuestPagingTest, StopsWhereTheGuestWouldFault) {
    EXPECT_EQ(walk(paging, 0x0000'8000'0000'0000).end, GuestWalkEnd::not_canonical);
    EXPECT_EQ(walk(paging, 0).end, GuestWalkEnd::not_present);
    EXPECT_EQ(walk(paging, linear + 0x1000).step_count, 4U);
    EXPECT_EQ(walk(paging, linear + 0x1000).end, GuestWalkEnd::not_present);
}

TEST_F(GuestPagingTest, ReservedBits) {
    const auto with_bit = [&](std::uint64_t where, std::uint64_t bit, GuestPaging with = paging) {
        const std::uint64_t before = memory.words[where];
        memory.words[where] |= bit;
        const GuestWalkEnd end = walk(with).end;
        memory.words[where] = before;
        return end;
    };
    for (const std::uint64_t where :
         {0x1000 + 8 * i4, 0x2000 + 8 * i3, 0x3000 + 8 * i2, 0x4000 + 8 * i1}) {
        EXPECT_EQ(with_bit(where, 1ULL << 40), GuestWalkEnd::reserved_bit);
        GuestPaging without = paging;
        without.no_execute_enabled = false;
        EXPECT_EQ(with_bit(where, 1ULL << 63, without), GuestWalkEnd::reserved_bit);
        EXPECT_EQ(with_bit(where, 1ULL << 52), GuestWalkEnd::page);
    }
    EXPECT_EQ(with_bit(0x1000 + 8 * i4, 1U << 7), GuestWalkEnd::reserved_bit);
    EXPECT_EQ(with_bit(0x3000 + 8 * i2, 1U << 7 | 1U << 13), GuestWalkEnd::reserved_bit);
    EXPECT_EQ(with_bit(0x2000 + 8 * i3, 1U << 7 | 1U << 21), GuestWalkEnd::reserved_bit);
    GuestPaging without = paging;
    without.pages_1_gb = false;
    memory.words[0x2000 + 8 * i3] = 0x4000'0083;
    EXPECT_EQ(walk(without).end, GuestWalkEnd::reserved_bit);
    EXPECT_EQ(walk().end, GuestWalkEnd::page);
}

TEST_F(GuestPagingTest, ATableThatCannotBeReadIsSaid) {
    memory.end = 0x3000;
    const GuestWalk found = walk();
    EXPECT_EQ(found.end, GuestWalkEnd::unreadable);
    EXPECT_EQ(found.step_count, 3U);
}

// Against tables made at random, of which the test knows what it has put in.
TEST(GuestPagingRandom, EveryPageLeadsWhereItWasPut) {
    std::mt19937_64 random{7};
    GuestMemory memory;
    std::uint64_t next_table = 0x2000;
    std::map<std::uint64_t, std::pair<std::uint64_t, std::uint64_t>> pages;  // size, physical
    for (int i = 0; i < 2000; ++i) {
        const unsigned level = 1 + static_cast<unsigned>(random() % 3);
        const std::uint64_t size = 0x1000ULL << 9 * (level - 1);
        std::uint64_t address = random() % (1ULL << 47) / size * size;
        if (random() % 2 == 0) {
            address |= 0xFFFF'8000'0000'0000;
        }
        std::uint64_t table = 0x1000;
        bool taken = false;
        for (unsigned at = 4; at > level && !taken; --at) {
            std::uint64_t& entry = memory.words[table + 8 * (address >> (12 + 9 * (at - 1)) & 511)];
            if (entry == 0) {
                entry = next_table | 3;
                next_table += 0x1000;
            }
            taken = at < 4 && (entry & 0x80) != 0;
            table = entry & ~0xFFFULL;
        }
        std::uint64_t& entry = memory.words[table + 8 * (address >> (12 + 9 * (level - 1)) & 511)];
        if (taken || entry != 0) {
            continue;
        }
        const std::uint64_t physical = random() % (1ULL << 40) / size * size;
        entry = physical | (level > 1 ? 0x83 : 3);
        pages[address] = {size, physical};
    }
    EXPECT_GT(pages.size(), 1000U);
    for (const auto& [address, page] : pages) {
        const std::uint64_t offset = random() % page.first;
        const GuestWalk found =
            walk_guest_tables(paging, arch::GuestLinearAddress{address + offset}, memory.reader());
        ASSERT_EQ(found.end, GuestWalkEnd::page);
        EXPECT_EQ(found.physical.raw(), page.second + offset);
        EXPECT_EQ(found.page_bytes, page.first);
        const auto used = translate_used(paging.cr3, arch::GuestLinearAddress{address + offset},
                                         [&](arch::GuestPhysicalAddress table, std::size_t index) {
                                             return memory.words.at(table.raw() + 8 * index);
                                         });
        EXPECT_EQ(used, found.physical);
    }
}

}  // namespace
}  // namespace hvp::ept
