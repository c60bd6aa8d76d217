// The stage `event-injection`: on every processor with VT-x its guest finds none.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "tests/lab/playground.hpp"

namespace hvp::tests {
namespace {

using testing::HasSubstr;

// The first VMLAUNCH is in __try. VMFUNC does not exit, MOV to CR4 and RDMSR do; CPUID is asked
// once, and one more VMCALL ends the guest.
const Json exits_of_the_stage = {{"CPUID", 1},   {"CR Access", 1}, {"INVEPT", 1},  {"INVVPID", 1},
                                 {"RDMSR", 1},   {"VMCALL", 2},    {"VMCLEAR", 1}, {"VMLAUNCH", 2},
                                 {"VMPTRLD", 1}, {"VMPTRST", 1},   {"VMREAD", 1},  {"VMRESUME", 1},
                                 {"VMWRITE", 1}, {"VMXOFF", 1},    {"VMXON", 1}};

/// What a handler found of one instruction, without the addresses.
std::string found(const Json& frame) {
    const bool at_the_instruction = frame["rip"] == frame["instruction_rip"];
    const bool same_stack = frame["rsp"] == frame["rsp_before"];
    constexpr std::uint64_t resume_flag = 0x10000;
    const auto rflags = std::stoull(frame["rflags"].get<std::string>(), nullptr, 0);
    return frame["instruction"].get<std::string>() + " " + frame["vector"].dump() + " " +
           frame["error_code"].get<std::string>() + (at_the_instruction ? " at" : " elsewhere") +
           (same_stack ? " same" : " other") + ((rflags & resume_flag) != 0 ? " RF" : " no RF") +
           " x" + frame["handlers"].dump();
}

class EventInjectionOnModel : public testing::TestWithParam<const char*> {};

TEST_P(EventInjectionOnModel, TheGuestFindsNoVtX) {
    Playground playground;
    const Answer answer = playground({"run", "event-injection", "--model", GetParam()});
    EXPECT_EQ(answer.status, 0) << answer.errors;
    const Json summary = playground.summary();
    EXPECT_EQ(summary["result"], "passed") << summary;
    EXPECT_EQ(summary["witnesses"], "agree");
    EXPECT_EQ(summary["memory"]["leaked_bytes"], 0);
    EXPECT_EQ(summary["state_differences"], Json::array());
    EXPECT_EQ(summary["entry_failures"], Json::array());
    EXPECT_EQ(summary["exits"]["0"], exits_of_the_stage);
}

// The story matches story.txt, or the run would not pass; these are the events that it comes from.
TEST_P(EventInjectionOnModel, TheHandlersFindWhatAProcessorOutsideVmxOperationPushes) {
    Playground playground;
    EXPECT_EQ(playground({"run", "event-injection", "--model", GetParam(), "--odd-state", "--cpus",
                          "2", "--loads", "2"})
                  .status,
              0);
    std::vector<std::string> frames;
    for (const Json& frame : playground.events("HandlerFrame")) {
        frames.push_back(found(frame));
    }
    std::vector<std::string> expected;
    for (const char* const load : {"first", "second"}) {
        SCOPED_TRACE(load);
        for (const char* const name :
             {"VMCALL", "VMCLEAR", "VMLAUNCH", "VMPTRLD", "VMPTRST", "VMREAD", "VMRESUME",
              "VMWRITE", "VMXOFF", "VMXON", "INVEPT", "INVVPID", "VMFUNC"}) {
            expected.push_back(std::string{name} + " 6 0x0 at same RF x1");
        }
        expected.emplace_back("MOV to CR4 with VMXE 13 0x0 at same RF x1");
        expected.emplace_back("RDMSR of IA32_VMX_BASIC 13 0x0 at same RF x1");
    }
    EXPECT_EQ(frames, expected);
}

INSTANTIATE_TEST_SUITE_P(VtX, EventInjectionOnModel,
                         testing::Values("core2_penryn_t9600", "corei5_lynnfield_750",
                                         "corei5_arrandale_m520", "corei7_sandy_bridge_2600k",
                                         "corei7_ivy_bridge_3770k", "corei7_haswell_4770",
                                         "broadwell_ult", "corei7_skylake_x", "corei3_cnl",
                                         "corei7_icelake_u", "tigerlake"));

TEST(EventInjection, TellsItsStory) {
    Playground playground;
    const Answer answer = playground({"run", "event-injection"});
    EXPECT_THAT(answer.output, HasSubstr("on_vmx_instruction injects #UD"));
    EXPECT_THAT(answer.output, HasSubstr("VMLAUNCH in __try: __except has run, code 0xc000001d, at "
                                         "the instruction"));
    EXPECT_THAT(answer.output, HasSubstr("15 of 15 as on a processor outside VMX operation"));
}

/// The driver compares each snippet on the bare processor with the same in a guest, twice.
class EventsInAGuest : public testing::TestWithParam<const char*> {};

TEST_P(EventsInAGuest, AreThoseOfTheBareProcessor) {
    Playground playground;
    const Answer answer =
        playground({"run", "--driver", playground.driver("vmm-events", "vmm-events"), "--seed", "3",
                    "--model", GetParam(), "--no-processor-log"});
    EXPECT_EQ(answer.status, 0) << answer.output;
    std::map<std::string, int> snippets;
    for (const Json& kind : playground.events("EventClass")) {
        const std::string pass = kind["pass"];
        if (pass != "bare") {
            EXPECT_EQ(kind["same"], kind["snippets"]) << kind;
            EXPECT_GE(kind["snippets"], 50) << kind;
            // One exit for the event, one for the end; a few instructions of user mode cause none
            // on older processors.
            EXPECT_GT(kind["records"], kind["snippets"].get<int>() * 3 / 2) << kind;
            snippets[pass] += kind["snippets"].get<int>();
        }
    }
    EXPECT_THAT(snippets, testing::ElementsAre(testing::Pair("all exceptions exit", 1560),
                                               testing::Pair("no exception exits", 1560)));
    const auto guests = playground.events("EventGuest");
    ASSERT_EQ(guests.size(), 2U);
    EXPECT_EQ(guests[0]["exception_exits"], 0);
    EXPECT_GT(guests[1]["exception_exits"], 1560);
}

INSTANTIATE_TEST_SUITE_P(Models, EventsInAGuest,
                         testing::Values("core2_penryn_t9600", "corei7_skylake_x", "tigerlake"));

TEST(EventInjection, RefusesWithoutMemoryAndWithoutVtX) {
    Playground playground;
    EXPECT_EQ(playground({"run", "event-injection", "--fail-allocation", "1"}).status, 4);
    EXPECT_EQ(playground.summary()["memory"]["leaked_bytes"], 0);
    EXPECT_EQ(playground({"run", "event-injection", "--model", "ryzen"}).status, 4);
}

}  // namespace
}  // namespace hvp::tests
