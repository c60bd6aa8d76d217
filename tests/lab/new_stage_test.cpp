// `playground new`: what it makes of a stage, what it refuses, and that nothing is left of a
// failure.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <regex>

#include "tests/lab/places.hpp"
#include "tests/lab/playground.hpp"

namespace hvp::tests {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::Not;

/// A repository with the stages and nothing else.
class NewStage : public testing::Test {
protected:
    NewStage() {
        playground.use_copy_of_program();
        fs::copy(source_folder() / "stages", stages(), fs::copy_options::recursive);
    }
    [[nodiscard]] fs::path stages() const { return playground.folder() / "stages"; }
    /// The paths below stages/, and what is in the list of their order.
    [[nodiscard]] std::vector<std::string> everything() const {
        std::vector<std::string> paths;
        if (fs::is_regular_file(stages() / "order")) {
            paths.push_back(content(stages() / "order"));
        }
        for (const auto& entry : fs::recursive_directory_iterator{stages()}) {
            paths.push_back(entry.path().string());
        }
        std::ranges::sort(paths);
        return paths;
    }

    Playground playground;
};

TEST_F(NewStage, IsACopyWithNamesOfItsOwn) {
    for (const auto& entry : fs::directory_iterator{source_folder() / "stages"}) {
        if (!fs::exists(entry.path() / "driver.cpp")) {
            continue;
        }
        const std::string from = entry.path().filename();
        const std::string name = "own-" + from;
        const Answer answer = playground({"new", name, "--from", from});
        ASSERT_EQ(answer.status, 0) << answer.errors;
        EXPECT_THAT(answer.output, HasSubstr("./playground run " + name + " "));
        EXPECT_THAT(content(stages() / "order"), testing::EndsWith("\n" + name + "\n"));
        std::string cpp_namespace = name + "_stage";
        std::ranges::replace(cpp_namespace, '-', '_');
        const std::regex of_another{R"(namespace hvp::(?!)" + cpp_namespace + R"(\b)\w)"};
        for (const auto& file : fs::directory_iterator{stages() / name}) {
            const std::string text = content(file.path());
            EXPECT_THAT(text, Not(HasSubstr("stages/" + from + "/"))) << file.path();
            EXPECT_THAT(text, Not(HasSubstr(" " + from + ".sys"))) << file.path();
            EXPECT_FALSE(std::regex_search(text, of_another)) << file.path();
        }
        EXPECT_EQ(content(stages() / name / "sentences.txt"),
                  content(stages() / from / "sentences.txt"));
        EXPECT_THAT(content(stages() / name / "README.md"),
                    HasSubstr("$ ./playground run " + name + "\n" + name + " · "));
        EXPECT_THAT(playground({"list"}).output, HasSubstr("\n" + name + " "));
        EXPECT_FALSE(fs::exists(stages() / (".new-" + name)));
    }
}

TEST_F(NewStage, BeginsWithGuestStateUnlessToldOtherwise) {
    ASSERT_EQ(playground({"new", "mine"}).status, 0);
    EXPECT_EQ(playground({"diff", "mine", "guest-state"}).status, 0);
    EXPECT_THAT(content(stages() / "mine/guest.hpp"), HasSubstr("namespace hvp::mine_stage {"));
    EXPECT_THAT(content(stages() / "mine/README.md"), HasSubstr("# mine: made from guest-state\n"));
}

TEST_F(NewStage, RefusesNamesThatNoStageCanHave) {
    fs::create_directories(playground.folder() / "build/bin/drivers");
    playground.write("build/bin/drivers/taken.sys", "");
    const auto before = everything();
    for (const char* name :
         {"", "Mine", "1st", "a--b", "a-", "-a", "a b", "../a", "a/b", ".", "a.b", "launch",
          "shared", "taken", "a-name-that-is-longer-than-any-stage-can-have"}) {
        const Answer answer = playground({"new", name});
        EXPECT_EQ(answer.status, 2) << name;
        EXPECT_EQ(answer.error_lines(), 1U) << answer.errors;
        EXPECT_EQ(answer.output, "") << name;
    }
    const Answer answer = playground({"new", "mine", "--from", "lunch"});
    EXPECT_EQ(answer.status, 2);
    EXPECT_THAT(answer.errors, HasSubstr("there is no stage lunch; did you mean launch?"));
    EXPECT_EQ(playground({"new"}).status, 2);
    EXPECT_EQ(everything(), before);
}

TEST_F(NewStage, LeavesNothingOfAFailure) {
    // A folder cannot be read as the list of stages, which is the last thing to be changed.
    fs::remove(stages() / "order");
    fs::create_directory(stages() / "order");
    const auto before = everything();
    const Answer answer = playground({"new", "mine"});
    EXPECT_EQ(answer.status, 1);
    EXPECT_EQ(answer.error_lines(), 1U) << answer.errors;
    EXPECT_THAT(answer.errors, HasSubstr("order"));
    EXPECT_EQ(everything(), before);
}

TEST_F(NewStage, LeavesNothingWhenAFileCannotBeWritten) {
    const auto before = everything();
    playground.limit_files(1);
    playground.set("LLVM_PROFILE_FILE", "/dev/null");  // the counters' file would be too large, too
    const Answer answer = playground({"new", "mine"});
    EXPECT_EQ(answer.status, 1);
    EXPECT_EQ(answer.error_lines(), 1U) << answer.errors;
    EXPECT_EQ(everything(), before);
}

}  // namespace
}  // namespace hvp::tests
