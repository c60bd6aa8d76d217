#include "tool/record/timeline.hpp"

#include <gtest/gtest.h>

#include <bit>

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

TEST(Timeline, CountsWhatIsSaidAgain) {
    Timeline timeline{100};
    Event one = at(1, "lab", "Finding");
    one.fields["caller"] = "0x1";
    Event other = at(2, "lab", "Finding");
    other.fields["caller"] = "0x2";
    Event again = one;
    again.t = 3;
    for (const Event& event : {one, other, again, at(4, "lab", "Leak")}) {
        timeline.add(event);
    }
    const auto findings = timeline.repeated("lab", "Finding");
    ASSERT_EQ(findings.size(), 2U);
    EXPECT_EQ(findings[0].first->t, 1U);
    EXPECT_EQ(findings[0].times, 2U);
    EXPECT_EQ(findings[1].times, 1U);
}

// On several processors one tick is several instructions, and the channels of lab and processor are
// read as the host likes: each mixture of the two gives the same order.
TEST(Timeline, TheOrderOfOneTickDoesNotDependOnTheHost) {
    const std::vector<Event> console{at(5, "driver", "VmxOn"),        at(5, "driver", "Something"),
                                     at(5, "driver", "VmEntry"),      at(5, "driver", "GuestRuns"),
                                     at(5, "driver", "VmExit"),       at(7, "driver", "VmxOff"),
                                     at(7, "lab", "DriverEntryEnded")};
    const std::vector<Event> log{at(5, "processor", "VmLaunch"), at(5, "processor", "VmEntry"),
                                 at(5, "processor", "VmExit"), at(7, "processor", "Last")};
    constexpr unsigned all = 11;
    for (unsigned mixture = 0; mixture < 1U << all; ++mixture) {
        if (std::popcount(mixture) != static_cast<int>(log.size())) {
            continue;
        }
        Timeline timeline{100};
        auto next_of_console = console.begin();
        auto next_of_log = log.begin();
        for (unsigned i = 0; i < all; ++i) {
            timeline.add((mixture >> i & 1) != 0 ? *next_of_log++ : *next_of_console++);
        }
        timeline.sort();
        std::string names;
        for (const Event& event : timeline.events()) {
            names += event.name + " ";
        }
        ASSERT_EQ(names,
                  "VmxOn Something VmEntry VmLaunch VmEntry VmExit GuestRuns VmExit Last VmxOff "
                  "DriverEntryEnded ");
    }
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
