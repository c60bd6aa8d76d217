// Twenty-five thousand of each of five things on eight processors, or in the long tests a hundred
// thousand: nothing is lost.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "tests/lab/playground.hpp"

namespace hvp::tests {
namespace {

constexpr unsigned processors = 8;

TEST(Stress, LosesNothingOnEightProcessors) {
    Playground playground;
    const unsigned wanted = is_long() ? 100'000 : 25'000;
    const char* const service = is_long() ? "stress" : "stress-quarter";
    const Answer answer = playground({"run", "--driver", playground.driver("stress", service),
                                      "--cpus", std::to_string(processors), "--seed", "7"});
    EXPECT_EQ(answer.status, 0) << answer.errors;
    std::map<std::string, unsigned> counts;
    for (const Json& event : playground.events("Stress")) {
        EXPECT_EQ(event["wrong"], 0) << event;
        counts[event["of"]] = event["count"];
        RecordProperty(event["of"], std::to_string(event["count"].get<unsigned>()));
    }
    EXPECT_EQ(counts["dpcs"], wanted);
    EXPECT_EQ(counts["interrupts"], wanted);
    EXPECT_EQ(counts["expiries"], wanted);
    EXPECT_EQ(counts["switches"], wanted);
    EXPECT_EQ(counts["allocations"], wanted);
}

/// The content of events.jsonl after a thousand of each.
std::string events_of_seed(unsigned seed) {
    Playground playground;
    const Answer answer =
        playground({"run", "--driver", playground.driver("stress", "stress-few"), "--cpus",
                    std::to_string(processors), "--seed", std::to_string(seed)});
    EXPECT_EQ(answer.status, 0) << answer.errors;
    EXPECT_EQ(playground.events("Stress").size(), 5U);
    return playground.file("events.jsonl");
}

// It contains many ticks: each must be the same on all eight processors.
TEST(Stress, GoesTheSameWayForTheSameSeedOnly) {
    const std::string first = events_of_seed(7);
    EXPECT_EQ(events_of_seed(7), first);
    EXPECT_NE(events_of_seed(8), first);
}

}  // namespace
}  // namespace hvp::tests
