// Commands around the runs: `bench startup` and `clean`. The playground is a repository of its own
// here, whose ./playground is a script of the test's.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "tests/lab/playground.hpp"

namespace hvp::tests {
namespace {

using testing::HasSubstr;

class Housekeeping : public testing::Test {
protected:
    Housekeeping() {
        playground.use_copy_of_program();
        runs_end_with(0);
    }
    void runs_end_with(int status) {
        const auto script =
            playground.write("playground", "#!/bin/sh\nexit " + std::to_string(status) + "\n");
        chmod(script.c_str(), 0755);
    }

    Playground playground;
};

TEST_F(Housekeeping, BenchMeasuresRunsAgainstTheBareEmulator) {
    const Answer answer = playground({"bench", "startup", "-n", "3", "--json"});
    EXPECT_EQ(answer.status, 0) << answer.errors;
    const Json json = Json::parse(answer.output, nullptr, /*allow_exceptions=*/false);
    EXPECT_EQ(json["name"], "startup");
    ASSERT_EQ(json["results"].size(), 2U);
    for (const Json& result : json["results"]) {
        EXPECT_EQ(result["n"], 3);
        EXPECT_GT(result["min"], 0);
        EXPECT_LE(result["min"], result["median"]);
        EXPECT_LE(result["median"], result["max"]);
    }
    EXPECT_EQ(json["results"][0]["floor"], json["results"][1]["median"]);
    EXPECT_EQ(playground.processes(), 0U);
}

TEST_F(Housekeeping, BenchOfARunThatFailsIsNone) {
    runs_end_with(1);
    const Answer answer = playground({"bench", "startup"});
    EXPECT_EQ(answer.status, 1);
    EXPECT_THAT(answer.errors, HasSubstr("run launch does not pass"));
    EXPECT_EQ(answer.error_lines(), 1U);
}

TEST_F(Housekeeping, CleanTakesAwayWhatBuildsAndRunsHaveMade) {
    playground.write("kept", "");
    EXPECT_EQ(playground({"clean"}).status, 0);
    EXPECT_FALSE(std::filesystem::exists(playground.folder() / "build"));
    EXPECT_TRUE(std::filesystem::exists(playground.folder() / "kept"));
}

}  // namespace
}  // namespace hvp::tests
