// Edits as pages show them: made, undone, and refused.
#include "tool/base/line_edits.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hvp::tool {
namespace {

using testing::HasSubstr;

FileEdit edit_of(const std::vector<std::string>& parts) {
    std::vector<std::string> block{"--- a.cpp"};
    block.insert(block.end(), parts.begin(), parts.end());
    return read_edit(block).value();
}

TEST(LineEdits, ChangeTheOnePlaceThatHasTheLines) {
    const FileEdit edit = edit_of({" one", "-two", "+2", "@@", "-four", "+4", "+5", " "});
    EXPECT_EQ(edit.file, "a.cpp");
    EXPECT_EQ(added_lines(edit), 3U);
    const std::string before = "zero\none\ntwo\nthree\nfour\n\nfive\n";
    const auto after = edited(before, edit);
    EXPECT_EQ(after, "zero\none\n2\nthree\n4\n5\n\nfive\n");
    EXPECT_EQ(edited(after.value(), reversed(edit)), before);
}

TEST(LineEdits, MakeANewFile) {
    EXPECT_EQ(edited("", edit_of({"+one", "+", "+two"})), "one\n\ntwo\n");
}

TEST(LineEdits, NeedWholeLinesInOnePlace) {
    const FileEdit edit = edit_of({"-two", "+2"});
    EXPECT_THAT(edited("twofold\n two\n", edit).error(),
                HasSubstr("a.cpp has no such lines as \"two\""));
    EXPECT_THAT(edited("two\ntwo\n", edit).error(), HasSubstr("more than once"));
}

TEST(LineEdits, AreRefusedWhenTheyAreNone) {
    EXPECT_THAT(read_edit({}).error(), HasSubstr("--- FILE"));
    EXPECT_THAT(read_edit({"+one"}).error(), HasSubstr("--- FILE"));
    EXPECT_THAT(read_edit({"--- a.cpp"}).error(), HasSubstr("changes nothing"));
    EXPECT_THAT(read_edit({"--- a.cpp", "-one", "+two", "@@", " three"}).error(),
                HasSubstr("changes nothing"));
}

}  // namespace
}  // namespace hvp::tool
