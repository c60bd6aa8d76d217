// A hundred thousand of each of five things on eight processors: nothing is lost.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "tests/lab/playground.hpp"

namespace hvp::tests {
namespace {

constexpr unsigned wanted = 100'000;
constexpr unsigned processors = 8;

TEST(Stress, LosesNothingOnEightProcessors) {
    Playground playground;
    const Answer answer = playground({"run", "--driver", playground.driver("stress", "stress"),
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

}  // namespace
}  // namespace hvp::tests
