// Words and lines.
#include "tool/base/text.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hvp::tool {
namespace {

TEST(Text, LosesBlanksAtItsEnds) {
    EXPECT_EQ(trimmed(" \t a b\r\n"), "a b");
    EXPECT_EQ(trimmed(" \t"), "");
}

TEST(Text, IsTakenLineByLine) {
    std::string_view text = "one\n\nthree";
    EXPECT_EQ(take_line(text), "one");
    EXPECT_EQ(take_line(text), "");
    EXPECT_EQ(take_line(text), "three");
    EXPECT_TRUE(text.empty());
}

TEST(Text, IsWrappedByColumns) {
    EXPECT_THAT(wrapped_lines("one two three", 7), testing::ElementsAre("one two", "three"));
    EXPECT_THAT(wrapped_lines("a · b", 5), testing::ElementsAre("a · b"));
    EXPECT_THAT(wrapped_lines("unbreakable", 4), testing::ElementsAre("unbreakable"));
    EXPECT_THAT(wrapped_lines("", 4), testing::ElementsAre(""));
}

}  // namespace
}  // namespace hvp::tool
