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

TEST(Text, PrintableIsWhatATerminalDoesNotObey) {
    EXPECT_EQ(printable("plain · text × 9"), "plain · text × 9");
    EXPECT_EQ(printable("\x1b[31m\r\n\t\x7f"), "\\x1b[31m\\x0d\\x0a\\x09\\x7f");
    EXPECT_EQ(printable("\xc2\x9b"), "\\xc2\\x9b");             // CSI in one character
    EXPECT_EQ(printable("a\xff\xe2\x82"), "a\\xff\\xe2\\x82");  // not UTF-8, and cut
    EXPECT_EQ(printable(std::string_view{"\0", 1}), "\\x00");
}

}  // namespace
}  // namespace hvp::tool
