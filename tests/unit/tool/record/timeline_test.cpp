#include "tool/record/timeline.hpp"

#include <gtest/gtest.h>

namespace hvp::tool {
namespace {

Event at(std::uint64_t t, std::string from, std::string name) {
    return {.t = t, .cpu = 0, .from = std::move(from), .name = std::move(name)};
}

TEST(Timeline, OrdersByTimeAndKeepsTheOrderOfOneTick) {
    Timeline timeline{100};
    timeline.add(at(5, "lab", "B"));
    timeline.add(at(5, "lab", "C"));
    timeline.add(at(3, "driver", "A"));
    timeline.sort();
    EXPECT_EQ(timeline.json_lines(),
              "{\"t\":3,\"cpu\":0,\"from\":\"driver\",\"event\":\"A\"}\n"
              "{\"t\":5,\"cpu\":0,\"from\":\"lab\",\"event\":\"B\"}\n"
              "{\"t\":5,\"cpu\":0,\"from\":\"lab\",\"event\":\"C\"}\n");
}

TEST(Timeline, CountsAFloodInsteadOfListingIt) {
    Timeline timeline{2};
    for (std::uint64_t t = 0; t < 5; ++t) {
        timeline.add(at(t, "processor", "VmExit"));
        timeline.add(at(t, "driver", "VmExit"));
    }
    timeline.sort();
    const std::string lines = timeline.json_lines();
    EXPECT_TRUE(
        lines.contains("{\"t\":4,\"cpu\":0,\"from\":\"processor\",\"event\":\"NotListed\","
                       "\"of\":\"VmExit\",\"listed\":2,\"count\":5}\n"));
    EXPECT_TRUE(lines.contains("\"from\":\"driver\",\"event\":\"NotListed\""));
    // What the driver says is kept for the witnesses all the same.
    EXPECT_EQ(timeline.all("driver", "VmExit").size(), 5U);
    EXPECT_EQ(timeline.all("processor", "VmExit").size(), 2U);
}

}  // namespace
}  // namespace hvp::tool
