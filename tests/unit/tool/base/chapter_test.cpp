// A page's blocks, and which of them belong to an exercise.
#include "tool/base/chapter.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hvp::tool {
namespace {

using testing::ElementsAre;

TEST(Chapter, HasBlocksWithoutTheirIndentation) {
    const auto blocks = blocks_of(
        "text\n"
        "```cpp\n"
        "int x;\n"
        "```\n"
        "- an item\n"
        "  ```diff\n"
        "  --- a.cpp\n"
        "  -    x\n"
        "\n"
        " left of it\n"
        "  ```\n"
        "```\n"
        "a block that does not end\n");
    ASSERT_EQ(blocks.size(), 2U);
    EXPECT_EQ(blocks[0].language, "cpp");
    EXPECT_THAT(blocks[0].lines, ElementsAre("int x;"));
    EXPECT_EQ(blocks[1].language, "diff");
    EXPECT_THAT(blocks[1].lines, ElementsAre("--- a.cpp", "-    x", "", "left of it"));
}

TEST(Chapter, HasExercisesThatEndWithTheirItem) {
    const auto exercises = exercises_of(
        "```\nbefore\n```\n"
        "1. **It breaks** (`it-breaks`). Text,\n"
        "   more text.\n"
        "   ```diff\n"
        "   --- a.cpp\n"
        "   ```\n"
        "\n"
        "   ```\n"
        "   $ ./playground run launch\n"
        "   ```\n"
        "2. Something else without a name.\n"
        "   ```\n   not of the exercise\n   ```\n"
        "- **Another one** (`another-1`)\n"
        "  ```\n  its own\n  ```\n"
        "## The next part\n"
        "```\nafter\n```\n");
    ASSERT_EQ(exercises.size(), 2U);
    EXPECT_EQ(exercises[0].name, "it-breaks");
    EXPECT_EQ(exercises[0].title, "It breaks");
    ASSERT_EQ(exercises[0].blocks.size(), 2U);
    EXPECT_THAT(exercises[0].blocks[0].lines, ElementsAre("--- a.cpp"));
    EXPECT_THAT(exercises[0].blocks[1].lines, ElementsAre("$ ./playground run launch"));
    EXPECT_EQ(exercises[1].name, "another-1");
    ASSERT_EQ(exercises[1].blocks.size(), 1U);
    EXPECT_THAT(exercises[1].blocks[0].lines, ElementsAre("its own"));
}

TEST(Chapter, OfAnythingIsRead) {
    EXPECT_TRUE(exercises_of("").empty());
    EXPECT_TRUE(exercises_of("```").empty());
    EXPECT_TRUE(blocks_of("\n\n```diff").empty());
}

}  // namespace
}  // namespace hvp::tool
