#include "tool/vmcs/run_difference.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hvp::tool {
namespace {

using testing::HasSubstr;

TEST(SummaryDifference, HasEachValueThatDiffers) {
    const Json before = {{"result", "passed"},
                         {"exits", {{"0", {{"CPUID", 2}, {"HLT", 1}}}}},
                         {"wall_seconds", 0.25}};
    const Json after = {{"result", "passed"},
                        {"exits", {{"0", {{"CPUID", 3}, {"VMCALL", 1}}}}},
                        {"wall_seconds", 0.5}};
    EXPECT_EQ(summary_difference(before, after),
              "  exits 0 CPUID: 2 -> 3\n"
              "  exits 0 HLT: 1 -> nothing\n"
              "  exits 0 VMCALL: nothing -> 1\n");
    EXPECT_EQ(summary_difference(before, before), "");
}

TEST(StoryDifference, HasTheLinesThatOnlyOneHas) {
    constexpr std::string_view before =
        "   0  driver     one\n"
        "   1  processor  two\n"
        "   2  lab        three\n"
        "passed in 0.4 s · runs/latest/\n";
    constexpr std::string_view after =
        "   0  driver     one\n"
        "   1  driver     more\n"
        "   2  processor  two\n"
        "   3  lab        other\n"
        "passed in 0.5 s · runs/latest/\n";
    EXPECT_EQ(story_lines_difference(before, after),
              "+ driver     more\n"
              "- lab        three\n"
              "+ lab        other\n");
    EXPECT_EQ(story_lines_difference(before, before), "");
}

TEST(StoryDifference, HasABound) {
    std::string lines;
    for (int i = 0; i < 5'000; ++i) {
        lines += "line\n";
    }
    EXPECT_EQ(story_lines_difference(lines, lines), "");
    EXPECT_THAT(story_lines_difference(lines, lines + "more\n"), HasSubstr("5000 and 5001 lines"));
}

TEST(DiffRuns, SaysWhichSummaryCannotBeRead) {
    EXPECT_FALSE(is_run("/nowhere"));
    EXPECT_EQ(diff_runs({.before = "/nowhere", .after = "/nowhere"}), ExitStatus::failed);
}

}  // namespace
}  // namespace hvp::tool
