// Each rule of 28.2.3.1 with the entry that breaks it, and with its neighbour that does not.
#include "hypervisor/ept/misconfiguration.hpp"

#include <gtest/gtest.h>

namespace hvp::ept {
namespace {

constexpr Limits skylake{.capability = {.execute_only = 1, .pages_2_mb = 1, .pages_1_gb = 1},
                         .physical_address_bits = 40};
constexpr Limits oldest{.capability = {}, .physical_address_bits = 36};
constexpr std::array levels{Level::page_table, Level::directory, Level::pointers, Level::pml4};

Misconfiguration rule(Level level, std::uint64_t raw, const Limits& limits = skylake) {
    return misconfiguration_of(level, Entry{raw}, limits);
}

// [SDM 3C 28.2.3.1 "EPT Misconfigurations"]
TEST(EptMisconfiguration, WritesNeedReads) {
    for (const Level level : levels) {
        EXPECT_EQ(rule(level, 0b010), Misconfiguration::write_without_read);
        EXPECT_EQ(rule(level, 0b110), Misconfiguration::write_without_read);
        EXPECT_EQ(rule(level, 0b011), Misconfiguration::none);
        EXPECT_EQ(rule(level, 0b001), Misconfiguration::none);
    }
}

TEST(EptMisconfiguration, ExecuteOnlyNeedsAProcessorThatHasIt) {
    for (const Level level : levels) {
        EXPECT_EQ(rule(level, 0b100, oldest), Misconfiguration::execute_only);
        EXPECT_EQ(rule(level, 0b100, skylake), Misconfiguration::none);
        EXPECT_EQ(rule(level, 0b101, oldest), Misconfiguration::none);
    }
}

TEST(EptMisconfiguration, NothingMattersInAnEntryThatIsNotPresent) {
    for (const Level level : levels) {
        EXPECT_EQ(rule(level, ~0ULL & ~7ULL), Misconfiguration::none);
    }
}

TEST(EptMisconfiguration, AddressesEndAtMaxphyaddr) {
    for (const Level level : levels) {
        EXPECT_EQ(rule(level, 1ULL << 39 | 7), Misconfiguration::none);
        EXPECT_EQ(rule(level, 1ULL << 40 | 7), Misconfiguration::reserved_bit);
        EXPECT_EQ(rule(level, 1ULL << 51 | 7), Misconfiguration::reserved_bit);
        EXPECT_EQ(rule(level, 1ULL << 52 | 7), Misconfiguration::none);
        EXPECT_EQ(rule(level, 1ULL << 39 | 7, oldest), Misconfiguration::reserved_bit);
    }
}

// Tables 28-1 to 28-6: every bit in turn, on top of "present".
TEST(EptMisconfiguration, EachReservedBitOfEachKindOfEntry) {
    const auto expect_reserved = [](Level level, std::uint64_t base, std::uint64_t reserved) {
        for (unsigned bit = 3; bit < 64; ++bit) {
            const bool is_type = bit < 6 && (base & 0x80) != 0;  // of a page
            if (bit == 7 || is_type) {
                continue;
            }
            const bool expected = (reserved >> bit & 1) != 0;
            EXPECT_EQ(rule(level, base | 1ULL << bit) == Misconfiguration::reserved_bit, expected)
                << static_cast<int>(level) << " bit " << bit;
        }
    };
    constexpr std::uint64_t beyond = 0x000F'FF00'0000'0000;
    expect_reserved(Level::pml4, 7, beyond | 0xF8);
    expect_reserved(Level::pointers, 7, beyond | 0x78);
    expect_reserved(Level::directory, 7, beyond | 0x78);
    expect_reserved(Level::pointers, 0x87, beyond | 0x3FFF'F000);
    expect_reserved(Level::directory, 0x87, beyond | 0x001F'F000);
    EXPECT_EQ(rule(Level::pml4, 0x87), Misconfiguration::reserved_bit);
    EXPECT_EQ(rule(Level::page_table, 0x87), Misconfiguration::none);
}

TEST(EptMisconfiguration, LargePagesNeedAProcessorThatHasThem) {
    EXPECT_EQ(rule(Level::directory, 0x87), Misconfiguration::none);
    EXPECT_EQ(rule(Level::pointers, 0x87), Misconfiguration::none);
    EXPECT_EQ(rule(Level::directory, 0x87, oldest), Misconfiguration::reserved_bit);
    EXPECT_EQ(rule(Level::pointers, 0x87, oldest), Misconfiguration::reserved_bit);
}

TEST(EptMisconfiguration, ThreeMemoryTypesAreReserved) {
    for (std::uint64_t type = 0; type < 8; ++type) {
        const bool reserved = type == 2 || type == 3 || type == 7;
        const auto expected = reserved ? Misconfiguration::memory_type : Misconfiguration::none;
        EXPECT_EQ(rule(Level::page_table, 7 | type << 3), expected);
        EXPECT_EQ(rule(Level::directory, 0x87 | type << 3), expected);
        EXPECT_EQ(rule(Level::pointers, 0x87 | type << 3), expected);
    }
}

TEST(EptMisconfiguration, EachRuleHasItsWords) {
    EXPECT_STREQ(name_of(Misconfiguration::memory_type), "its memory type is a reserved one");
    EXPECT_STREQ(name_of(Misconfiguration::reserved_bit), "a reserved bit is set");
}

}  // namespace
}  // namespace hvp::ept
