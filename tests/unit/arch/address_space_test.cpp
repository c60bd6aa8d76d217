// The VMM's page tables: what is mapped is there with its rights, and nothing else is.
#include "hypervisor/arch/address_space.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <vector>

namespace hvp::arch {
namespace {

constexpr HostPhysicalAddress tables_at{0x10'0000};

class AddressSpaceTest : public testing::Test {
protected:
    std::vector<PageTable> reserve_ = std::vector<PageTable>(8);
    AddressSpace space_{reserve_, tables_at};
};

TEST_F(AddressSpaceTest, MapsPagesWithTheirRights) {
    const HostLinearAddress code{0xFFFF'F801'0000'0000};
    ASSERT_TRUE(space_.map({code, HostPhysicalAddress{0x1234'5000}, 2, Access::read_execute}));
    const PageTableEntry* const entry = space_.find(code + page_bytes);
    ASSERT_NE(entry, nullptr);
    EXPECT_EQ(entry->frame, 0x12346U);
    EXPECT_EQ(entry->writable, 0U);
    EXPECT_EQ(entry->execute_disable, 0U);
    EXPECT_EQ(entry->user, 0U);
    EXPECT_EQ(entry->global, 0U) << "it would outlive the way out";
    EXPECT_EQ(space_.find(code + 2 * page_bytes), nullptr);
    EXPECT_EQ(space_.find(code - page_bytes), nullptr);
}

TEST_F(AddressSpaceTest, DataCannotBeExecutedAndConstantsNotWritten) {
    const HostLinearAddress here{0x7000};
    ASSERT_TRUE(space_.map({here, HostPhysicalAddress{0}, 1, Access::read_write}));
    ASSERT_TRUE(space_.map({here + page_bytes, HostPhysicalAddress{0}, 1, Access::read}));
    EXPECT_EQ(space_.find(here)->writable, 1U);
    EXPECT_EQ(space_.find(here)->execute_disable, 1U);
    EXPECT_EQ(space_.find(here + page_bytes)->writable, 0U);
    EXPECT_EQ(space_.find(here + page_bytes)->execute_disable, 1U);
}

TEST_F(AddressSpaceTest, TheProcessorFindsTheSame) {
    // Walks the tables as SDM 3A figure 4-8 draws it, by physical addresses.
    const HostLinearAddress linear{0xFFFF'FB00'0020'3000};
    ASSERT_TRUE(space_.map({linear, HostPhysicalAddress{0xABC'D000}, 1, Access::read_write}));
    std::uint64_t table = space_.cr3();
    for (int shift = 39; shift >= 12; shift -= 9) {
        const auto& entries = reserve_[(table - tables_at.raw()) / page_bytes];
        const auto entry = std::bit_cast<std::uint64_t>(entries[linear.raw() >> shift & 0x1FF]);
        ASSERT_EQ(entry & 1, 1U);
        table = entry & 0xF'FFFF'FFFF'F000;
    }
    EXPECT_EQ(table, 0xABC'D000U);
    EXPECT_EQ(space_.tables_used(), 4U);
}

TEST_F(AddressSpaceTest, ASecondMappingOfAnAddressIsRefused) {
    const HostLinearAddress here{0x7000};
    ASSERT_TRUE(space_.map({here, HostPhysicalAddress{0x1000}, 1, Access::read}));
    EXPECT_TRUE(space_.map({here, HostPhysicalAddress{0x1000}, 1, Access::read}));
    EXPECT_EQ(space_.map({here, HostPhysicalAddress{0x2000}, 1, Access::read}).error(),
              MapError::mapped_already);
    EXPECT_EQ(space_.map({here, HostPhysicalAddress{0x1000}, 1, Access::read_write}).error(),
              MapError::mapped_already);
}

// The VMM points an entry of its own tables at a page, so it must have that table mapped.
TEST_F(AddressSpaceTest, AWindowShowsOnePageAfterTheOther) {
    arch::processor = {};
    const HostLinearAddress start{0x4000'0000'0000};
    const auto window = space_.open_window(start);
    ASSERT_TRUE(window);
    EXPECT_EQ(space_.find(start), nullptr) << "nothing yet";
    const auto* const shown = window->show(2, HostPhysicalAddress{0x1234'5678});
    EXPECT_EQ(reinterpret_cast<std::uint64_t>(shown), start.raw() + 2 * page_bytes);
    const PageTableEntry* const entry = space_.find(start + 2 * page_bytes);
    ASSERT_NE(entry, nullptr);
    EXPECT_EQ(entry->frame, 0x1'2345U);
    EXPECT_EQ(entry->execute_disable, 1U);
    EXPECT_EQ(arch::processor.written.size(), 1U) << "the old translation is forgotten";
    EXPECT_EQ(window->show(2, HostPhysicalAddress{0x1234'5000}), shown);
    EXPECT_EQ(arch::processor.written.size(), 1U) << "the same page is there already";
    const HostLinearAddress table{reinterpret_cast<std::uint64_t>(entry) & ~(page_bytes - 1)};
    EXPECT_NE(space_.find(table), nullptr);
}

TEST_F(AddressSpaceTest, AnEmptyReserveIsSaid) {
    for (std::uint64_t i = 0; i < 2; ++i) {
        ASSERT_TRUE(
            space_.map({HostLinearAddress{i << 39}, HostPhysicalAddress{0}, 1, Access::read}));
    }
    EXPECT_EQ(space_.map({HostLinearAddress{5ULL << 39}, HostPhysicalAddress{0}, 1, Access::read})
                  .error(),
              MapError::no_table_left);
}

}  // namespace
}  // namespace hvp::arch
