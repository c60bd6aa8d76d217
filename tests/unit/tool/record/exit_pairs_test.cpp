// Which exit of the processor a driver's VmExit is about, also where its ring has dropped some.
#include "tool/record/exit_pairs.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hvp::tool {
namespace {

TEST(ExitPairs, DroppedExitsInTheMiddleDoNotShiftTheOthers) {
    Timeline timeline{10'000};
    for (unsigned exit = 0; exit < 4; ++exit) {
        timeline.add(
            {.t = 100 * (exit + 1),
             .from = "processor",
             .name = "VmExit",
             .fields = {{"reason", "CPUID"}, {"reason_number", 10}, {"qualification", "0x0"}}});
    }
    for (const unsigned sequence : {0U, 3U}) {
        timeline.add({.t = 1000,
                      .from = "driver",
                      .name = "VmExit",
                      .fields = {{"reason", "CPUID"},
                                 {"reason_number", 10},
                                 {"qualification", "0x0"},
                                 {"handler", "on_cpuid"},
                                 {"sequence", sequence}}});
    }
    timeline.add({.t = 1000, .from = "driver", .name = "EventsDropped", .fields = {{"count", 2}}});
    const ExitPairs exits{timeline};
    std::vector<int> sequences;
    for (std::size_t i = 0; i < 4; ++i) {
        const PairedExit* exit = exits.of(timeline.events()[i]);
        sequences.push_back(exit == nullptr ? -1
                                            : static_cast<int>(exit->driver->number("sequence")));
    }
    EXPECT_THAT(sequences, testing::ElementsAre(0, -1, -1, 3));
}

std::vector<std::uint64_t> indexes(const std::vector<int>& sequences_and_drops) {
    Timeline timeline{10'000};
    std::uint64_t t = 0;
    for (const int one : sequences_and_drops) {
        Event event{.t = ++t, .from = "driver", .name = "VmExit", .fields = {{"sequence", one}}};
        if (one < 0) {
            event.name = "EventsDropped";
            event.fields = {{"count", -one}};
        }
        timeline.add(std::move(event));
    }
    std::vector<std::uint64_t> found;
    for (const ReportedExit& exit : driver_reports(timeline).at(0).exits()) {
        found.push_back(exit.index);
    }
    return found;
}

// The ring of the first guest is that of the second, and counts on.
TEST(ExitPairs, DroppedExitsOfOneGuestDoNotShiftThoseOfTheNext) {
    EXPECT_THAT(indexes({1, 2, -3, 6, 7}), testing::ElementsAre(0, 1, 5, 6));
    EXPECT_THAT(indexes({1, 4, -5, 9}), testing::ElementsAre(0, 3, 8));
}

// The driver was loaded again, or its guest has a ring of its own. Others count from 0.
TEST(ExitPairs, ARingMayBeginAgain) {
    EXPECT_THAT(indexes({1, 2, -3, 1, 2}), testing::ElementsAre(0, 1, 5, 6));
    EXPECT_THAT(indexes({0, 1, -3, 0, 1}), testing::ElementsAre(0, 1, 5, 6));
    EXPECT_THAT(indexes({0, 3, -2}), testing::ElementsAre(0, 3));
}

// The driver notes an entry, then tries it, and reports the failure much later.
TEST(ExitPairs, AnEntryThatWasRefusedIsNone) {
    for (const auto& [instruction, entries] :
         {std::pair{"VMLAUNCH", 0U}, {"VMRESUME", 0U}, {"VM entry", 0U}, {"VMXOFF", 1U}}) {
        Timeline timeline{10'000};
        timeline.add({.t = 1, .from = "driver", .name = "VmEntry"});
        timeline.add({.t = 2, .from = "driver", .name = "VmxOff"});
        timeline.add({.t = 9,
                      .from = "driver",
                      .name = "VmxInstructionFailed",
                      .fields = {{"instruction", instruction}, {"error_number", 7}}});
        EXPECT_EQ(driver_reports(timeline).at(0).entries().size(), entries) << instruction;
    }
}

}  // namespace
}  // namespace hvp::tool
