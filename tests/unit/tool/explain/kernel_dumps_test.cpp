// The parts and rows of KVM's and Xen's dumps.
#include "tool/explain/dumps/kernel_dumps.hpp"

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

// KVM's first line names a processor, and its lists of MSRs no field.
TEST(KernelDumps, HaveLinesWithoutFields) {
    EXPECT_TRUE(is_without_fields("VMCS 0000000012345678, last attempted VM-entry on CPU 3"));
    EXPECT_TRUE(is_without_fields("   0: msr=0x00000600 value=0x0000000000000000"));
    EXPECT_FALSE(is_without_fields("PinBased=0000003f CPUBased=b6a065fa"));
}

}  // namespace
}  // namespace hvp::tool
