// What a driver (tests/drivers/neglect.cpp) leaves running or does not release is reported in one
// line that names the routine, on one processor and on four; and the run reaches its end.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/lab/playground.hpp"

namespace hvp::tests {
namespace {

using testing::HasSubstr;

struct Deed {
    const char* name;
    const char* result;
    std::vector<const char*> words;  ///< what the one line must say
};

struct Case {
    Deed deed;
    unsigned processors;
};

std::ostream& operator<<(std::ostream& stream, const Case& one) {
    return stream << one.deed.name << " on " << one.processors;
}

std::vector<Case> cases() {
    const std::vector<Deed> deeds{
        {"timer", "failed", {"the timer at", "still armed", "on_dpc", "KeCancelTimer"}},
        {"timer-then-refuse", "failed", {"the timer at", "still armed", "on_dpc"}},
        {"dpc", "failed", {"the DPC at", "still queued", "on_dpc", "KeFlushQueuedDpcs"}},
        {"computing-thread", "failed", {"the thread", "compute_for_ever", "still runs"}},
        {"waiting-thread", "failed", {"the thread", "wait_for_ever", "still runs"}},
        {"delaying-thread", "failed", {"the thread", "delay_for_ever", "still runs"}},
        {"thread-then-refuse", "failed", {"the thread", "compute_for_ever", "still runs"}},
        {"wait-at-dispatch",
         "bugcheck",
         {"ATTEMPTED_SWITCH_FROM_DPC", "KeWaitForSingleObject", "DISPATCH_LEVEL"}},
        {"wait-in-dpc",
         "bugcheck",
         {"ATTEMPTED_SWITCH_FROM_DPC", "KeWaitForSingleObject", "DISPATCH_LEVEL"}},
        {"done", "failed", {"KeGenericCallDpc would wait for ever", "KeSignalCallDpcDone"}},
        {"mutex", "failed", {"DriverEntry returned with the mutex at", "still acquired"}},
        {"foreign-mutex", "bugcheck", {"STATUS_MUTANT_NOT_OWNED", "release_foreign_mutex"}},
    };
    std::vector<Case> all;
    for (const Deed& deed : deeds) {
        for (const unsigned processors : {1U, 4U}) {
            all.push_back({deed, processors});
        }
    }
    return all;
}

class Neglect : public testing::TestWithParam<Case> {};

TEST_P(Neglect, IsReportedInOneLine) {
    const auto& [deed, processors] = GetParam();
    Playground playground;
    const auto driver = playground.driver("neglect", fmt::format("neglect-{}", deed.name));
    const Answer answer =
        playground({"run", "--driver", driver, "--cpus", std::to_string(processors)});
    EXPECT_EQ(answer.status, 1);
    EXPECT_EQ(answer.error_lines(), 1U) << answer.errors;
    for (const char* word : deed.words) {
        EXPECT_THAT(answer.errors, HasSubstr(word));
    }
    EXPECT_EQ(playground.summary()["result"], deed.result);
    if (std::string_view{deed.result} == "failed") {
        EXPECT_EQ(playground.events("Finding").size(), 1U);
        EXPECT_EQ(playground.events("Summary").size(), 1U);
    }
}

INSTANTIATE_TEST_SUITE_P(EveryDeed, Neglect, testing::ValuesIn(cases()), [](const auto& instance) {
    std::string name = fmt::format("{}_on_{}", instance.param.deed.name, instance.param.processors);
    std::ranges::replace(name, '-', '_');
    return name;
});

// What was left running does not disturb the next load.
TEST(NeglectAgain, IsReportedInEachLoad) {
    Playground playground;
    const auto driver = playground.driver("neglect", "neglect-timer");
    EXPECT_EQ(playground({"run", "--driver", driver, "--cpus", "2", "--loads", "3"}).status, 1);
    EXPECT_EQ(playground.events("Finding").size(), 3U);
    EXPECT_EQ(playground.events("DriverUnloadReturned").size(), 3U);
}

// Driver Verifier has a number for a wait at DISPATCH_LEVEL.
TEST(NeglectOfTheIrql, HasVerifiersNumber) {
    Playground playground;
    const auto driver = playground.driver("neglect", "neglect-wait-at-dispatch");
    EXPECT_EQ(playground({"run", "--driver", driver}).status, 1);
    const auto findings = playground.events("Finding");
    ASSERT_EQ(findings.size(), 1U);
    EXPECT_EQ(findings[0]["rule"], "IrqlTooHigh");
    EXPECT_EQ(findings[0]["bug_check"], "0xc4");
    EXPECT_EQ(findings[0]["parameter_1"], "0x3b");
}

// A driver that assumes that its thread stays on its processor: correct on one processor, and
// detected on four, because each of them is compared.
TEST(NeglectToPin, IsSeenOnlyWithSeveralProcessors) {
    Playground one;
    EXPECT_EQ(one({"run", "--driver", one.driver("neglect", "neglect-pin")}).status, 0);
    Playground four;
    const Answer answer = four({"run", "--driver", four.driver("neglect", "neglect-pin"), "--cpus",
                                "4", "--processor", "1"});
    EXPECT_EQ(answer.status, 1);
    EXPECT_EQ(answer.error_lines(), 1U) << answer.errors;
    EXPECT_THAT(answer.errors, HasSubstr("processor 1 was left changed: CR4 was"));
    EXPECT_EQ(four.events("StateDifference").size(), 1U);
}

}  // namespace
}  // namespace hvp::tests
