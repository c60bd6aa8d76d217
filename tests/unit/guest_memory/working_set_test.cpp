// The set of pages that a guest needs, and what an EPT for it costs.
#include "hypervisor/guest_memory/working_set.hpp"

#include <gtest/gtest.h>

#include <array>
#include <map>

#include "tests/unit/ept/memory.hpp"

namespace hvp::ept {
namespace {

// One table of each level below CR3 = 1000H; the page table maps linear pages 0 to 511 to
// guest-physical 40000000H and up, page 511 is not there. Entry 1 of the page directory is a large
// page at 80000000H.
bool read(void*, arch::GuestPhysicalAddress where, std::uint64_t& value) {
    const std::uint64_t table = where.raw() / 4096;
    const std::uint64_t index = where.raw() % 4096 / 8;
    value = 0;
    if (table < 4 && index == 0) {
        value = (table + 1) * 4096 | 3;
    } else if (table == 3 && index == 1) {
        value = 0x8000'0083;
    } else if (table == 4 && index < 511) {
        value = 0x4000'0000 + index * 4096 + 3;
    }
    return true;
}
constexpr GuestPaging paging{
    .cr3 = 0x1000, .physical_address_bits = 40, .no_execute_enabled = true};
constexpr GuestMemoryReader reader{read, nullptr};

TEST(EptNeededPages, HoldEachPageOnceAndTheTablesOnTheWay) {
    WorkingSet needed;
    EXPECT_TRUE(
        needed.add({arch::GuestLinearAddress{0x5FFF}, 2, Role::stack, read_write}, paging, reader));
    EXPECT_TRUE(needed.add({arch::GuestLinearAddress{0x6800}, 8, Role::code, read_execute}, paging,
                           reader));
    ASSERT_EQ(needed.pages().size(), 6U);
    EXPECT_EQ(needed.pages()[0].role, Role::pml4);
    EXPECT_EQ(needed.pages()[3].role, Role::page_table);
    EXPECT_EQ(needed.pages()[3].page.raw(), 0x4000U);
    EXPECT_EQ(needed.pages()[0].rights, read_write);
    EXPECT_EQ(needed.pages()[4].page.raw(), 0x4000'5000U);
    EXPECT_EQ(needed.pages()[5].rights, everything) << "two uses of one page";
    EXPECT_EQ(needed.find(guest(0x4000'6FFF))->linear.raw(), 0x6000U);
    EXPECT_EQ(needed.find(guest(0x4000'7000)), nullptr);
}

TEST(EptNeededPages, OfALargePageOnlyWhatIsMeant) {
    WorkingSet needed;
    EXPECT_TRUE(needed.add({arch::GuestLinearAddress{0x20'3000}, 4096, Role::data, read_write},
                           paging, reader));
    ASSERT_EQ(needed.pages().size(), 4U) << "no page table on the way";
    EXPECT_EQ(needed.pages()[3].page.raw(), 0x8000'3000U);
}

TEST(EptNeededPages, RefuseWhatTheGuestCannotReach) {
    WorkingSet needed;
    EXPECT_EQ(needed
                  .add({arch::GuestLinearAddress{0x1F'E000}, 4097, Role::data, read_write}, paging,
                       reader)
                  .error(),
              WorkingSetError::not_mapped);
    WorkingSet full;
    EXPECT_EQ(
        full.add({arch::GuestLinearAddress{0}, 4096 * 100, Role::data, read_write}, paging, reader)
            .error(),
        WorkingSetError::too_many);
}

TEST(EptNeededPages, AnEptForThemTakesTheLeastTables) {
    WorkingSet needed;
    EXPECT_TRUE(needed.add({arch::GuestLinearAddress{0x5000}, 0x3000, Role::code, read_execute},
                           paging, reader));
    EXPECT_TRUE(needed.add({arch::GuestLinearAddress{0x20'3000}, 4096, Role::data, read_write},
                           paging, reader));
    PoolMemory memory{32};
    Tables tables{*Tables::create(memory.pool, all_limits)};
    for (const WorkingSetPage& page : needed.pages()) {
        EXPECT_TRUE(tables.map({.guest = page.page,
                                .bytes = 4096,
                                .to = {.physical = host(page.page.raw()), .rights = page.rights}}));
    }
    // PML4, one page-directory-pointer table; directories and page tables for 0, 1 and 2 GBytes.
    EXPECT_EQ(needed.least_tables(), 8U);
    EXPECT_EQ(memory.pool.used(), 8U);
}

}  // namespace
}  // namespace hvp::ept
