#include "tool/replay/recorded_state.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace hvp::tool {
namespace {

using Moment = RecordedState::Moment;
using testing::HasSubstr;

RecordedState state(Moment moment, std::uint64_t number, std::uint64_t rip) {
    return {.moment = moment,
            .number = number,
            .cpu = 0,
            .t = 100 * number,
            .vmcs = 0x1000,
            .fields = {{0x681E, rip}, {0x4402, 12}},
            .registers = {{"rax", number}, {"rbx", 5}}};
}

TEST(RecordedStates, AreWrittenAsChangesAndReadWhole) {
    std::vector<RecordedState> states{state(Moment::entry, 1, 0x10), state(Moment::exit, 1, 0x12),
                                      state(Moment::failed_entry, 2, 0x12)};
    states[1].instruction = "cpuid";
    states[1].place = "x.sys+0x12";
    const std::string text = write_states(states);
    EXPECT_EQ(
        text,
        R"({"at":"entry","n":1,"cpu":0,"t":100,"vmcs":"0x1000","fields":{"0x4402":"0xc","0x681e":"0x10"},"registers":{"rax":"0x1","rbx":"0x5"}}
{"at":"exit","n":1,"cpu":0,"t":100,"vmcs":"0x1000","instruction":"cpuid","place":"x.sys+0x12","fields":{"0x681e":"0x12"},"registers":{}}
{"at":"failed entry","n":2,"cpu":0,"t":200,"vmcs":"0x1000","fields":{},"registers":{"rax":"0x2"}}
)");
    EXPECT_EQ(read_states(text), states);
}

RC_GTEST_PROP(RecordedStates, ComeBackWhateverTheyHold, (const std::vector<std::uint64_t>& rips)) {
    std::vector<RecordedState> states;
    for (const std::uint64_t rip : rips) {
        states.push_back(state(Moment::exit, states.size() + 1, rip));
    }
    const auto read = read_states(write_states(states));
    RC_ASSERT(read.has_value());
    RC_ASSERT(*read == states);
}

TEST(RecordedStates, WhatCannotBeReadIsNamedByItsLine) {
    const std::string good = write_states(std::vector{state(Moment::entry, 1, 0)});
    for (
        const char* bad :
        {"", "{", "[]", "{}", R"({"at":"exit"})",
         R"({"at":"exit","n":1,"cpu":9,"t":1,"vmcs":"0x0","fields":{},"registers":{}})",
         R"({"at":"exit","n":1,"cpu":0,"t":1,"vmcs":"0x0","fields":{"x":"0x1"},"registers":{}})",
         R"({"at":"exit","n":1,"cpu":0,"t":1,"vmcs":"0x0","fields":{"0x4402":1},"registers":{}})",
         R"({"at":"exit","n":-1,"cpu":0,"t":1,"vmcs":"0x0","fields":{},"registers":{}})",
         R"({"at":"exit","n":1,"cpu":0,"t":1,"vmcs":"0x0","fields":{},"registers":{"rax":"?"}})"}) {
        const auto read = read_states(good + bad + "\n");
        ASSERT_FALSE(read) << bad;
        EXPECT_THAT(read.error(), HasSubstr("line 2 is no state"));
    }
}

}  // namespace
}  // namespace hvp::tool
