// The chapters' exercises, done exactly as their text says: `break NAME` makes the edits that the
// chapter shows, its commands print the lines that it promises, and `unbreak` leaves the sources as
// they were.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "tests/lab/executed_page.hpp"
#include "tests/lab/places.hpp"

namespace hvp::tests {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> stages_with_a_chapter() {
    std::vector<std::string> stages;
    for (const auto& entry : fs::directory_iterator{source_folder() / "stages"}) {
        if (fs::exists(entry.path() / "README.md")) {
            stages.push_back(entry.path().filename());
        }
    }
    std::ranges::sort(stages);
    return stages;
}

void do_as_the_text_says(const tool::Exercise& exercise, RepositoryCopy& copy) {
    ASSERT_EQ(copy({"break", exercise.name}).status, 0);
    EXPECT_THAT(copy({"break"}).output,
                testing::ContainsRegex("  " + exercise.name + " .* \\(made\\)\n"));
    std::size_t commands = 0;
    for (const tool::Block& block : exercise.blocks) {
        if (is_command(block)) {
            execute(block, copy);
            ++commands;
        }
    }
    EXPECT_GT(commands, 0U);
    EXPECT_EQ(copy({"unbreak"}).status, 0);
}

class Chapter : public testing::TestWithParam<std::string> {};

// One copy for all of a chapter: only what an edit touches is built again.
TEST_P(Chapter, ItsExercisesGoAsWritten) {
    RepositoryCopy copy;
    const auto before = copy.sources();
    const auto exercises =
        tool::exercises_of(content(source_folder() / "stages" / GetParam() / "README.md"));
    EXPECT_GE(exercises.size(), 3U);
    for (const tool::Exercise& exercise : exercises) {
        SCOPED_TRACE(exercise.name);
        do_as_the_text_says(exercise, copy);
        ASSERT_EQ(copy.sources(), before);
    }
}

INSTANTIATE_TEST_SUITE_P(, Chapter, testing::ValuesIn(stages_with_a_chapter()),
                         [](const auto& info) {
                             std::string name = info.param;
                             std::ranges::replace(name, '-', '_');
                             return name;
                         });

TEST(Exercises, AreRefusedWhereTheyDoNotFit) {
    RepositoryCopy copy;
    EXPECT_EQ(copy({"unbreak"}).output, "no exercise's edit is in the sources\n");
    const Answer unknown = copy({"break", "tr-not-bussy"});
    EXPECT_EQ(unknown.status, 2);
    EXPECT_EQ(unknown.errors,
              "playground: there is no exercise tr-not-bussy; did you mean tr-not-busy?\n");

    ASSERT_EQ(copy({"break", "tr-not-busy"}).status, 0);
    const Answer again = copy({"break", "tr-not-busy"});
    EXPECT_EQ(again.status, 1);
    EXPECT_EQ(again.errors,
              "playground: break tr-not-busy: it is made already; ./playground unbreak "
              "tr-not-busy undoes it\n");
    ASSERT_EQ(copy({"unbreak", "tr-not-busy"}).status, 0);
    EXPECT_EQ(copy({"unbreak", "tr-not-busy"}).status, 1);

    // Sources that somebody has changed are left as they are.
    const fs::path file = copy.file("hypervisor/vcpu/setup/guest_segments.cpp");
    fs::resize_file(file, 100);
    const auto before = copy.sources();
    const Answer unfit = copy({"break", "tr-not-busy"});
    EXPECT_EQ(unfit.status, 1);
    EXPECT_THAT(unfit.errors, testing::HasSubstr("guest_segments.cpp has no such lines as"));
    EXPECT_EQ(copy.sources(), before);
}

}  // namespace
}  // namespace hvp::tests
