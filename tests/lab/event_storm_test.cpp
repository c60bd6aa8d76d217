// Twenty-five thousand events between guests, in the long tests a hundred thousand: none is lost,
// and none is delivered twice.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>
#include <string>

#include "tests/lab/playground.hpp"

namespace hvp::tests {
namespace {

/// The sum over all processors.
int sum(Playground& playground, const std::string& event, const std::string& field) {
    const auto events = playground.events(event);
    return std::accumulate(events.begin(), events.end(), 0,
                           [&](int sum, const Json& one) { return sum + one[field].get<int>(); });
}

void expect_none_lost(Playground& playground, int sent) {
    EXPECT_EQ(sum(playground, "StormKind", "sent"), sent);
    EXPECT_EQ(sum(playground, "StormKind", "received"), sent);
    EXPECT_EQ(sum(playground, "StormKind", "lost"), 0);
    EXPECT_EQ(sum(playground, "StormKind", "doubled"), 0);
    EXPECT_EQ(sum(playground, "StormNmis", "nested"), 0);
    // All kinds of events of the storm have happened.
    for (const char* const field : {"met_guest", "met_vmm", "waited", "windows", "clocks"}) {
        EXPECT_GT(sum(playground, "StormProcessor", field), 0) << field;
    }
    EXPECT_EQ(sum(playground, "StormProcessor", "clocks_received"),
              sum(playground, "StormProcessor", "clocks"));
    EXPECT_GT(sum(playground, "StormSleep", "woken"), 0);
    EXPECT_GT(sum(playground, "StormNmis", "met_guest"), 0);
    EXPECT_GT(sum(playground, "StormNmis", "met_vmm"), 0);
}

TEST(EventStorm, LosesAndDoublesNone) {
    Playground playground;
    const int wanted = is_long() ? 100'000 : 25'000;
    const char* const service = is_long() ? "event-storm" : "event-storm-quarter";
    const Answer answer =
        playground({"run", "--driver", playground.driver("event-storm", service), "--cpus", "4",
                    "--no-processor-log", "--timeout-ticks", "3000000000"});
    EXPECT_EQ(answer.status, 0) << answer.errors;
    expect_none_lost(playground, wanted);
    for (const Json& kind : playground.events("StormKind")) {
        EXPECT_GT(kind["sent"], wanted / 5) << kind;
    }
}

class SmallStorm : public testing::TestWithParam<const char*> {};

TEST_P(SmallStorm, LosesAndDoublesNoneOfTenThousand) {
    Playground playground;
    const Answer answer =
        playground({"run", "--driver", playground.driver("event-storm", "event-storm-few"),
                    "--cpus", GetParam(), "--no-processor-log", "--timeout-ticks", "1000000000"});
    EXPECT_EQ(answer.status, 0) << answer.errors;
    expect_none_lost(playground, 10'000);
}

INSTANTIATE_TEST_SUITE_P(OnProcessors, SmallStorm, testing::Values("2", "4"));

}  // namespace
}  // namespace hvp::tests
