#include "lab/machine/console.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hvp::lab {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

struct Heard {
    std::vector<std::string> lab;
    std::vector<std::string> other;

    Console console{{.lab = [this](std::string_view line) { lab.emplace_back(line); },
                     .other = [this](std::string_view line) { other.emplace_back(line); }}};
};

TEST(Console, SeparatesTheLabsLinesFromTheEmulators) {
    Heard heard;
    heard.console.feed("Next at t=0\r\n{\"t\":1}\r\n(0) [0x0000fffffff0] f000:fff0\r\n");
    EXPECT_THAT(heard.lab, ElementsAre("{\"t\":1}"));
    EXPECT_THAT(heard.other, ElementsAre("Next at t=0", "(0) [0x0000fffffff0] f000:fff0"));
}

TEST(Console, JoinsLinesThatComeInPieces) {
    Heard heard;
    for (const char byte : std::string_view{"{\"t\":12,\"x\":\"y\"}\n"}) {
        EXPECT_THAT(heard.lab, IsEmpty());
        heard.console.feed({&byte, 1});
    }
    EXPECT_THAT(heard.lab, ElementsAre("{\"t\":12,\"x\":\"y\"}"));
}

TEST(Console, FindsALabLineAfterAPrompt) {
    Heard heard;
    heard.console.feed("<bochs:2> {\"t\":5}\n");
    EXPECT_THAT(heard.lab, ElementsAre("{\"t\":5}"));
    EXPECT_THAT(heard.other, ElementsAre("<bochs:2> "));
}

TEST(Console, KeepsALastLineWithoutAnEnd) {
    Heard heard;
    heard.console.feed("{\"t\":7");
    heard.console.finish();
    EXPECT_THAT(heard.lab, ElementsAre("{\"t\":7"));
}

TEST(Console, CutsALineThatNeverEnds) {
    Heard heard;
    const std::string much(1 << 20, 'x');
    for (int i = 0; i < 8; ++i) {
        heard.console.feed(much);
    }
    heard.console.finish();
    ASSERT_EQ(heard.other.size(), 1U);
    EXPECT_LE(heard.other[0].size(), 1U << 20);
}

}  // namespace
}  // namespace hvp::lab
