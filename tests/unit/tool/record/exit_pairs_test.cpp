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
