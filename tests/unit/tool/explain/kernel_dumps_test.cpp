// The parts and rows of KVM's and Xen's dumps.
#include "tool/explain/kernel_dumps.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hvp::tool {
namespace {

TEST(KernelDumps, HaveParts) {
    EXPECT_EQ(part_of_heading("*** Guest State ***"), DumpPart::guest);
    EXPECT_EQ(part_of_heading("(XEN) *** Host State ***"), DumpPart::host);
    EXPECT_EQ(part_of_heading("*** Control State ***"), DumpPart::controls);
    EXPECT_EQ(part_of_heading("CR0: actual=0x0000000080050033"), std::nullopt);
}

TEST(KernelDumps, NameDifferentFieldsInTheirParts) {
    EXPECT_EQ(encoding_in_part(DumpPart::guest, "RSP"), 0x681CU);
    EXPECT_EQ(encoding_in_part(DumpPart::host, "RSP"), 0x6C14U);
    EXPECT_EQ(encoding_in_part(DumpPart::guest, "rsp"), 0x681CU);
    EXPECT_EQ(encoding_in_part(DumpPart::controls, "RSP"), std::nullopt);
    EXPECT_EQ(encoding_in_part(DumpPart::none, "RSP"), std::nullopt);
}

TEST(KernelDumps, HaveARowForEachSegment) {
    const auto code = segment_row("CS");
    ASSERT_TRUE(code);
    EXPECT_EQ(code->selector, 0x802U);
    EXPECT_EQ(code->rights, 0x4816U);
    EXPECT_EQ(code->limit, 0x4802U);
    EXPECT_EQ(code->base, 0x6808U);
    const auto table = segment_row("GDTR");
    ASSERT_TRUE(table);
    EXPECT_EQ(table->selector, 0U);
    EXPECT_EQ(table->limit, 0x4810U);
    EXPECT_FALSE(segment_row("XS"));
}

}  // namespace
}  // namespace hvp::tool
