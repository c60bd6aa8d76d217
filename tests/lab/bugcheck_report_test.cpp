// What a bug check reports: the code, its parameters and their meaning, and a stack with functions,
// offsets and lines, through the driver and the kernel.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "tests/lab/places.hpp"
#include "tests/lab/playground.hpp"

namespace hvp::tests {
namespace {

using testing::HasSubstr;
using testing::MatchesRegex;
using testing::SizeIs;

/// The number of the line in crash.cpp with that comment.
int line_of(std::string_view comment) {
    std::ifstream source{source_folder() / "tests/drivers/crash.cpp"};
    int number = 0;
    for (std::string line; std::getline(source, line);) {
        ++number;
        if (line.ends_with(comment)) {
            return number;
        }
    }
    return 0;
}

/// The story's lines about the stack, wrapped ones joined.
std::vector<std::string> stack_lines(const std::string& story) {
    std::vector<std::string> found;
    std::istringstream lines{story};
    for (std::string line; std::getline(lines, line);) {
        line.erase(0, line.find_first_not_of(' '));
        if (line.starts_with("at ") || line.starts_with("called from ")) {
            found.push_back(line);
        } else if (!found.empty() && line.starts_with(".")) {
            found.back() += " " + line;  // the source line did not fit
        }
    }
    return found;
}

TEST(BugCheckReport, HasTheStackWithFunctionsOffsetsAndLines) {
    Playground playground;
    const Answer answer = playground({"run", "--driver", playground.driver("crash", "crash")});
    EXPECT_EQ(answer.status, 1);
    const auto lines = stack_lines(answer.output);
    ASSERT_GE(lines.size(), 6U) << answer.output;
    const auto frame = [](std::string_view begin, std::string_view function, int line) {
        return MatchesRegex(fmt::format(R"({} crash\.sys\+0x[0-9a-f]+  {}(\+0x[0-9a-f]+)?, .*)"
                                        R"(tests/drivers/crash\.cpp:{})",
                                        begin, function, line));
    };
    EXPECT_THAT(lines[0], frame("at", "third", line_of("// line of the crash")));
    EXPECT_THAT(lines[1], frame("called from", "second", line_of("// line of the third call")));
    EXPECT_THAT(lines[2], frame("called from", "first", line_of("// line of the second call")));
    EXPECT_THAT(lines[3],
                frame("called from", "DriverEntry", line_of("// line of the first call")));
    EXPECT_THAT(lines[4], HasSubstr("ntoskrnl.exe"));
    EXPECT_THAT(lines.back(), HasSubstr("thread_start"));
    for (std::size_t i = 1; i < lines.size(); ++i) {
        EXPECT_THAT(lines[i], HasSubstr("+0x")) << i;
        EXPECT_NE(lines[i], lines[i - 1]);
    }
}

TEST(BugCheckReport, HasParametersRegistersAndProcessor) {
    Playground playground;
    EXPECT_EQ(playground({"run", "--driver", playground.driver("crash", "crash"), "--cpus", "4",
                          "--processor", "2"})
                  .status,
              1);
    const auto reported = playground.events("BugCheck");
    ASSERT_THAT(reported, SizeIs(1));
    const Json& event = reported[0];
    EXPECT_EQ(event["code"], "0x7e");
    EXPECT_EQ(event["name"], "SYSTEM_THREAD_EXCEPTION_NOT_HANDLED");
    EXPECT_EQ(event["parameters"][0], "0xffffffffc0000005");
    EXPECT_EQ(event["parameters"][1], event["rip"]);
    EXPECT_THAT(event["meaning"], SizeIs(4));
    EXPECT_EQ(event["registers"]["rip"], event["rip"]);
    EXPECT_EQ(event["registers"]["cr2"], "0x0");
    EXPECT_EQ(event["stack"][0], event["rip"]);
    EXPECT_EQ(event["stack"].size(), event["functions"].size());
    EXPECT_EQ(event["stack_found_by"], "unwind data");
    EXPECT_EQ(event["cpu"], 2);
    EXPECT_EQ(event["irql"], "PASSIVE_LEVEL");
}

TEST(BugCheckReport, HasTheLastEventsBefore) {
    Playground playground;
    const Answer answer =
        playground({"run", "--driver", playground.driver("crash", "crash"), "--cpus", "2"});
    EXPECT_THAT(answer.output, HasSubstr("the last 8 events before it:"));
    const auto found = [&](int step) {
        return answer.output.contains(fmt::format(": DebugPrint step {} of 20", step));
    };
    EXPECT_FALSE(found(12)) << answer.output;
    for (int step = 13; step <= 20; ++step) {
        EXPECT_TRUE(found(step)) << answer.output;
    }
}

TEST(BugCheckReport, BeginsWhereTheKernelStoppedTheDriver) {
    Playground playground;
    const auto driver = playground.driver("misbehave", "misbehave-double-free");
    const Answer answer = playground({"run", "--driver", driver});
    const auto lines = stack_lines(answer.output);
    ASSERT_GE(lines.size(), 3U) << answer.output;
    EXPECT_THAT(lines[0], HasSubstr("hvp::lab::ex::"));
    const auto in_driver = std::ranges::find_if(
        lines, [](const std::string& line) { return line.contains("free_twice()+0x"); });
    EXPECT_NE(in_driver, lines.end());
    EXPECT_THAT(answer.errors, HasSubstr("called from misbehave-double-free.sys"));
}

}  // namespace
}  // namespace hvp::tests
