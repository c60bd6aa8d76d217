// Numbers in every notation that dumps have.
#include "tool/explain/dumps/numbers.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hvp::tool {
namespace {

TEST(Numbers, AreReadAsPeopleWriteThem) {
    EXPECT_EQ(number_in("0x10"), 0x10U);
    EXPECT_EQ(number_in("10"), 0x10U);
    EXPECT_EQ(number_in("10h"), 0x10U);
    EXPECT_EQ(number_in("0n16"), 16U);
    EXPECT_EQ(number_in("16 (decimal)"), 16U);
    EXPECT_EQ(number_in("fffff801`00101000"), 0xFFFF'F801'0010'1000U);
    EXPECT_EQ(number_in("FFFFFFFF_FFFFFFFFH"), ~0ULL);
    EXPECT_EQ(number_in("0x80050033ULL"), 0x8005'0033U);
    EXPECT_EQ(number_in("0x10000000000000000"), std::nullopt);  // 65 bits
    EXPECT_EQ(number_in("0xyz"), std::nullopt);
    EXPECT_EQ(number_in(""), std::nullopt);
}

TEST(Numbers, HaveAFirstWord) {
    EXPECT_EQ(number_word("fffff801`00101000 rest"), "fffff801`00101000");
    EXPECT_EQ(number_word("0x10, 0x20"), "0x10");
    EXPECT_EQ(number_word(" 0x10"), "");
}

}  // namespace
}  // namespace hvp::tool
