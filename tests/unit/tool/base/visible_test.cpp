// Foreign text for a terminal.
#include "tool/base/visible.hpp"

#include <gtest/gtest.h>

namespace hvp::tool {
namespace {

TEST(Visible, ShowsControlCharactersAsText) {
    EXPECT_EQ(visible("plain text, \xC3\xA9"), "plain text, \xC3\xA9");
    EXPECT_EQ(visible("\x1b[2J"), "\\x1b[2J");
    EXPECT_EQ(visible("a\tb\nc\x7F"), "a\\x09b\\x0ac\\x7f");
    EXPECT_EQ(visible("\xC2\x9B"
                      "2J"),
              "\\x9b2J");  // CSI in UTF-8
}

}  // namespace
}  // namespace hvp::tool
