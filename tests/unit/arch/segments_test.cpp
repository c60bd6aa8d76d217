// Segment descriptors, decoded as a VMCS wants them.
#include "hypervisor/arch/segments.hpp"

#include <gtest/gtest.h>

#include <array>
#include <bit>

namespace hvp::arch {
namespace {

/// The GDT of 64-bit Windows 10, as its debugger shows it; the TSS at FFFFF80312345670h.
constexpr std::array<std::uint64_t, 11> windows_gdt{0,
                                                    0,
                                                    0x0020'9B00'0000'0000,
                                                    0x0040'9300'0000'0000,
                                                    0x00CF'FB00'0000'FFFF,
                                                    0x00CF'F300'0000'FFFF,
                                                    0x0020'FB00'0000'0000,
                                                    0,
                                                    0x1200'8B34'5670'0067,
                                                    0x0000'0000'FFFF'F803,
                                                    0x0040'F300'0000'3C00};

std::uint32_t raw_rights(const Segment& segment) {
    return std::bit_cast<std::uint32_t>(segment.rights);
}

Segment segment_at(std::uint16_t selector) {
    const auto segment = look_up(windows_gdt, selector_from(selector));
    EXPECT_TRUE(segment.has_value());
    return segment.value_or(Segment{});
}

// [SDM 3A 3.4.2 "Segment Selectors"]: RPL in bits 1:0, TI in bit 2, the index from bit 3 on.
TEST(Selectors, HaveTheirPartsWhereTheManualSays) {
    const Selector selector = selector_from(0x2B);
    EXPECT_EQ(selector.requested_privilege_level, 3);
    EXPECT_EQ(selector.local_table, 0);
    EXPECT_EQ(selector.index, 5);
    EXPECT_EQ(raw(selector), 0x2B);
    EXPECT_EQ(selector_from(0x4).local_table, 1);
}

// [SDM 3C 26.2.3 "Checks on Host Segment and Descriptor-Table Registers"]: RPL and TI must be 0.
TEST(Selectors, ForTheHostHaveNoPrivilegeLevel) {
    EXPECT_EQ(raw(selector_from(0x2B).for_host()), 0x28);
    EXPECT_EQ(raw(selector_from(0x10).for_host()), 0x10);
}

// [SDM 3C 24.4.1 "Guest Register State", Table 24-2]: the bits, one by one.
TEST(AccessRights, HaveTheirBitsWhereTheManualSays) {
    EXPECT_EQ(std::bit_cast<std::uint32_t>(AccessRights{.type = 0xF}), 0x0000'000FU);
    EXPECT_EQ(std::bit_cast<std::uint32_t>(AccessRights{.code_or_data = 1}), 0x0000'0010U);
    EXPECT_EQ(std::bit_cast<std::uint32_t>(AccessRights{.privilege_level = 3}), 0x0000'0060U);
    EXPECT_EQ(std::bit_cast<std::uint32_t>(AccessRights{.present = 1}), 0x0000'0080U);
    EXPECT_EQ(std::bit_cast<std::uint32_t>(AccessRights{.available = 1}), 0x0000'1000U);
    EXPECT_EQ(std::bit_cast<std::uint32_t>(AccessRights{.long_mode = 1}), 0x0000'2000U);
    EXPECT_EQ(std::bit_cast<std::uint32_t>(AccessRights{.default_size = 1}), 0x0000'4000U);
    EXPECT_EQ(std::bit_cast<std::uint32_t>(AccessRights{.granularity = 1}), 0x0000'8000U);
    EXPECT_EQ(std::bit_cast<std::uint32_t>(AccessRights{.unusable = 1}), 0x0001'0000U);
}

// The values that a VMCS of a Windows 10 kernel thread shows.
TEST(WindowsSegments, AreDecodedAsTheProcessorHoldsThem) {
    EXPECT_EQ(raw_rights(segment_at(0x10)), 0x209BU);   // CS
    EXPECT_EQ(raw_rights(segment_at(0x18)), 0x4093U);   // SS
    EXPECT_EQ(raw_rights(segment_at(0x2B)), 0xC0F3U);   // DS, ES, GS
    EXPECT_EQ(raw_rights(segment_at(0x53)), 0x40F3U);   // FS
    EXPECT_EQ(raw_rights(segment_at(0x40)), 0x008BU);   // TR
    EXPECT_EQ(raw_rights(segment_at(0x00)), 0x10000U);  // LDTR
    EXPECT_EQ(segment_at(0x10).limit.bytes, 0U);
    EXPECT_EQ(segment_at(0x2B).limit.bytes, 0xFFFF'FFFFU);
    EXPECT_EQ(segment_at(0x53).limit.bytes, 0x3C00U);
    EXPECT_EQ(segment_at(0x40).limit.bytes, 0x67U);
}

// [SDM 3A 3.5.2 "Segment Descriptor Tables in IA-32e Mode"]: a TSS descriptor has 16 bytes. Its
// base bit 31 is 0 here and 1 in the next: neither may leak into the upper half.
TEST(SystemSegments, HaveA64BitBase) {
    EXPECT_EQ(segment_at(0x40).base, 0xFFFF'F803'1234'5670U);
    auto gdt = windows_gdt;
    gdt[8] = 0x9200'8B34'5670'0067;
    gdt[9] = 0x0000'0000'0000'0001;
    const auto task = look_up(gdt, selector_from(0x40));
    ASSERT_TRUE(task.has_value());
    EXPECT_EQ(task->base, 0x0000'0001'9234'5670U);
}

TEST(Selectors, BeyondTheTableAreRefused) {
    EXPECT_EQ(look_up(windows_gdt, selector_from(0x58)).error(), SegmentError::beyond_limit);
    const auto cut = std::span{windows_gdt}.first(9);  // ends in the middle of the TSS descriptor
    EXPECT_EQ(look_up(cut, selector_from(0x40)).error(), SegmentError::beyond_limit);
    EXPECT_EQ(look_up(windows_gdt, selector_from(0x14)).error(), SegmentError::in_local_table);
}

}  // namespace
}  // namespace hvp::arch
