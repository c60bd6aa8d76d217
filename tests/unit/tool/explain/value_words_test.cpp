// Bits and parts of fields in words.
#include "tool/explain/texts/value_words.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hvp::tool {
namespace {

TEST(ValueWords, DecodeBitsAndParts) {
    EXPECT_EQ(value_words(vmx::Shape::cr0, 0x8005'0033), "PE MP ET NE WP AM PG");
    EXPECT_EQ(value_words(vmx::Shape::pin_controls, 0x17),
              "external-interrupt exiting; bits 2:1, 4");
    EXPECT_EQ(access_rights_words(0xA09B), "64-bit code, readable, accessed; DPL 0; present; L; G");
    EXPECT_EQ(access_rights_words(0x1'0060), "unusable (DPL 3)");
    EXPECT_EQ(interruption_words(0x8000'0B0E),
              "hardware exception, vector 14 (#PF), with error code");
    EXPECT_EQ(value_words(vmx::Shape::ept_pointer, 0x501E),
              "tables WB, walk length 4, PML4 at 0x5000");
    EXPECT_EQ(bit_numbers(0b1011'0001), "bits 0, 5:4, 7");
    EXPECT_THAT(ept_entry_words(0x1A006), testing::HasSubstr("misconfigured"));
}

TEST(ValueWords, NameExitReasonsErrorsAndStates) {
    EXPECT_EQ(value_words(vmx::Shape::exit_reason, 0x8000'0021),
              "exit 33 VM-entry failure due to invalid guest state; VM entry failed");
    EXPECT_EQ(value_words(vmx::Shape::activity, 1), "HLT");
    EXPECT_EQ(value_words(vmx::Shape::pat, 0x0007'0406'0007'0406), "WB WT UC- UC WB WT UC- UC");
    EXPECT_EQ(value_words(vmx::Shape::exception_bitmap, 1U << 14 | 1U << 6), "#UD #PF");
}

TEST(ValueWords, DescribeEvents) {
    EXPECT_EQ(interruption_words(0), "none");
    EXPECT_EQ(interruption_words(0x8000'0202), "NMI, vector 2");
    EXPECT_EQ(interruption_words(0x8000'0306), "hardware exception, vector 6 (#UD)");
    EXPECT_EQ(interruption_words(0x8000'0309), "hardware exception, vector 9")
        << "without a mnemonic";
}

}  // namespace
}  // namespace hvp::tool
