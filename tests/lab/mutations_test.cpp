// The tool's own examiner of tests, on a repository of three files: a wrong change that a test
// notices, one that nobody notices, and patches that are no use.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/lab/places.hpp"
#include "tests/lab/playground.hpp"

namespace hvp::tests {
namespace {

using testing::HasSubstr;

class Mutations : public testing::Test {
protected:
    Mutations() {
        playground.write(
            "CMakeLists.txt",
            "cmake_minimum_required(VERSION 3.25)\n"
            "project(small NONE)\n"
            "enable_testing()\n"
            "add_custom_target(nothing)\n"
            "add_custom_target(broken COMMAND grep -q right ${CMAKE_SOURCE_DIR}/answer)\n"
            "add_custom_target(first ALL COMMAND cp ${CMAKE_SOURCE_DIR}/answer first)\n"
            "add_test(NAME answer.is_the_first COMMAND cmp answer ${CMAKE_BINARY_DIR}/first)\n"
            "add_test(NAME answer.is_right COMMAND grep -q right answer)\n"
            "add_test(NAME answer.exists COMMAND test -e answer)\n"
            "set_tests_properties(answer.is_right answer.exists answer.is_the_first PROPERTIES\n"
            "                     WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})\n");
        playground.write("answer", "right\n");
        std::filesystem::create_directories(playground.folder() / "tests/mutations");
        playground.use_copy_of_program();
    }
    /// A patch with this head; it changes the answer from `from` to "wrong".
    void mutation(std::string_view name, std::string_view head, std::string_view from = "right") {
        playground.write("tests/mutations/" + std::string{name} + ".patch",
                         std::string{head} + "\n--- a/answer\n+++ b/answer\n@@ -1 +1 @@\n-" +
                             std::string{from} + "\n+wrong\n");
    }
    Answer run(const std::vector<std::string>& filters = {}) {
        std::vector<std::string> arguments{"test", "--mutations"};
        arguments.insert(arguments.end(), filters.begin(), filters.end());
        return playground(arguments);
    }

    /// The build of the original, as ./playground makes it.
    void build() {
        const std::string root = playground.folder().string();
        const std::string command = "cmake -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo" +
                                    (" -DCMAKE_CXX_COMPILER=clang++-19 -S '" + root) + "' -B '" +
                                    root + "/build' > '" + root + "/log' && ninja -C '" + root +
                                    "/build' >> '" + root + "/log' 2>&1";
        ASSERT_EQ(std::system(command.c_str()), 0) << content(playground.folder() / "log");
    }

    Playground playground;
};

TEST_F(Mutations, AreNoticedByTheTestsThatTheyName) {
    mutation("good", "Test: answer.is_right\nBuild: nothing\n");
    const Answer answer = run();
    EXPECT_EQ(answer.status, 0) << answer.output;
    EXPECT_THAT(answer.output, HasSubstr("noticed   good.patch\n1 passed, 0 failed\n"));
    EXPECT_EQ(content(playground.folder() / "answer"), "right\n") << "only the copy was changed";
    EXPECT_EQ(run().status, 0) << "and the copy is as it was, for the next time";
}

TEST_F(Mutations, ThatNobodyNoticesFail) {
    mutation("good", "Test: answer.is_right\nBuild: nothing\n");
    mutation("missed", "Test: answer.exists\nBuild: nothing\n");
    mutation("old", "Test: answer.is_right\nBuild: nothing\n", "left");
    mutation("silent", "Build: nothing\n");
    mutation("unbuilt", "Test: answer.is_right\nBuild: broken\n");
    const Answer answer = run();
    EXPECT_EQ(answer.status, 1);
    EXPECT_THAT(answer.output, HasSubstr("noticed   good.patch\n"));
    EXPECT_THAT(answer.output,
                HasSubstr("MISSED    missed.patch: nobody noticed: answer.exists still passes\n"));
    EXPECT_THAT(answer.output, HasSubstr("old.patch: the patch does not fit any more\n"));
    EXPECT_THAT(answer.output, HasSubstr("silent.patch: names no test, or no target to build\n"));
    EXPECT_THAT(answer.output, HasSubstr("unbuilt.patch: does not build"));
    EXPECT_THAT(answer.output, HasSubstr("1 passed, 4 failed\n"));
}

// Else each change of a header would compile the programs of all tests that include it.
TEST_F(Mutations, BuildWhatTheirTestsNeedBeforeTheChangeOnly) {
    mutation("after", "Test: answer.is_the_first\nBuild: first\n");
    mutation("before", "Test: answer.is_the_first\nNeeds: first\nBuild: nothing\n");
    const Answer answer = run();
    EXPECT_THAT(answer.output, HasSubstr("MISSED    after.patch: nobody noticed"));
    EXPECT_THAT(answer.output, HasSubstr("noticed   before.patch\n"));
}

// An object is taken from the build of the original only where its command is the same.
TEST_F(Mutations, OfCompilerOptionsAreCompiled) {
    playground.write("CMakeLists.txt",
                     "cmake_minimum_required(VERSION 3.25)\n"
                     "project(small CXX)\n"
                     "enable_testing()\n"
                     "add_executable(small small.cpp)\n"
                     "target_compile_definitions(small PRIVATE ANSWER=0)\n"
                     "add_test(NAME answer.is_right COMMAND small)\n");
    playground.write("small.cpp", "int main() { return ANSWER; }\n");
    playground.write("tests/mutations/option.patch",
                     "Test: answer.is_right\nBuild: small\n\n"
                     "--- a/CMakeLists.txt\n+++ b/CMakeLists.txt\n@@ -4,3 +4,3 @@\n"
                     " add_executable(small small.cpp)\n"
                     "-target_compile_definitions(small PRIVATE ANSWER=0)\n"
                     "+target_compile_definitions(small PRIVATE ANSWER=1)\n"
                     " add_test(NAME answer.is_right COMMAND small)\n");
    std::filesystem::copy(source_folder() / "tests/mutations/compile-or-take",
                          playground.folder() / "tests/mutations");
    build();
    EXPECT_THAT(run().output, HasSubstr("noticed   option.patch\n"));
}

TEST_F(Mutations, NeedTestsThatPassWithoutThem) {
    mutation("good", "Test: answer.is_right\nBuild: nothing\n");
    playground.write("answer", "left\n");
    const Answer answer = run({"good"});
    EXPECT_EQ(answer.status, 1);
    EXPECT_THAT(answer.output, HasSubstr("fails without any mutation"));
}

TEST_F(Mutations, ComeAfterTheOtherTests) {
    mutation("good", "Test: answer.is_right\nBuild: nothing\n");
    build();
    const Answer all = playground({"test", "--all"});
    EXPECT_EQ(all.status, 0) << all.output;
    EXPECT_THAT(all.output, HasSubstr("4 passed, 0 failed\n"));
    EXPECT_THAT(playground({"test"}).output, HasSubstr("3 passed, 0 failed\n"));
    EXPECT_THAT(playground({"test", "exists"}).output, HasSubstr("1 passed, 0 failed\n"));
    EXPECT_EQ(playground({"test", "no.such(test"}).status, 1);
}

}  // namespace
}  // namespace hvp::tests
