// Events that a driver writes for Windows' event tracing are events like any other.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/lab/playground.hpp"

namespace hvp::tests {
namespace {

using testing::ElementsAre;

std::vector<std::string> keys_of(const Json& event) {
    std::vector<std::string> keys;
    for (const auto& [key, value] : event.items()) {
        keys.push_back(key);
    }
    return keys;
}

class GuestState : public testing::TestWithParam<unsigned> {};

TEST_P(GuestState, ReportsEachExitWithItsFields) {
    Playground playground;
    const Answer answer = playground({"run", "guest-state", "--processor", "0", "--cpus",
                                      std::to_string(GetParam()), "--loads", "2"});
    EXPECT_EQ(answer.status, 0) << answer.errors;
    EXPECT_EQ(playground.summary()["witnesses"], "agree") << playground.summary();
    std::vector<Json> exits;
    for (const Json& event : playground.events("VmExit")) {
        if (event["from"] == "driver") {
            exits.push_back(event);
        }
    }
    ASSERT_EQ(exits.size(), 22U);
    for (const Json& exit : exits) {
        EXPECT_THAT(keys_of(exit), testing::UnorderedElementsAre(
                                       "t", "cpu", "from", "event", "reason", "reason_number",
                                       "qualification", "guest_rip", "instruction_length", "detail",
                                       "handler", "injected", "sequence"));
    }
    EXPECT_EQ(exits[1]["reason"], "CPUID");
    EXPECT_EQ(exits[1]["reason_number"], 10);
    EXPECT_EQ(exits[1]["instruction_length"], 2);
    EXPECT_EQ(exits[1]["detail"], "0x40000000");
    EXPECT_TRUE(exits[1]["guest_rip"].get<std::string>().starts_with("0xfffff8"));
    EXPECT_EQ(playground.events("RegistersProof").size(), 2U);
    EXPECT_THAT(playground.events("DebugPrint"), testing::IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(On, GuestState, testing::Values(1U, 4U));

// The driver unregisters on each failure path: otherwise the lab would report EtwRegistrationLeft.
TEST(GuestStateFailure, IsReportedAndLeavesNoProvider) {
    for (const std::string allocation : {"1", "2", "3"}) {
        Playground playground;
        const Answer answer = playground({"run", "guest-state", "--fail-allocation", allocation});
        EXPECT_EQ(answer.status, 4) << answer.errors;
        const auto failures = playground.events("Failure");
        ASSERT_EQ(failures.size(), 1U);
        EXPECT_EQ(failures[0]["from"], "driver");
        EXPECT_EQ(failures[0]["step"], "memory");
        EXPECT_EQ(failures[0]["number"], "0x0");
        EXPECT_EQ(failures[0]["rule"], "SDM 3C 24.11.5 VMXON Region");
        EXPECT_THAT(playground.events("Finding"), testing::IsEmpty());
    }
}

TEST(TraceEvents, OfAForeignDriverAreDecodedByTheirOwnDescription) {
    Playground playground;
    static_cast<void>(
        playground({"run", "--driver", playground.driver("contract_etw", "contract_etw")}));
    std::vector<std::string> texts;
    for (const Json& event : playground.events("Hello")) {
        texts.push_back(event["text"]);
    }
    texts.resize(texts.size() / 2);  // DriverUnload writes all of them again
    EXPECT_THAT(texts, ElementsAre("from PASSIVE_LEVEL", "from HIGH_LEVEL", "in three",
                                   "after an exception", "with typed pieces"));
    // Without types of pieces it has no description: it looks like an event with a manifest.
    const auto plain = playground.events("EtwEvent");
    ASSERT_EQ(plain.size(), 4U);
    EXPECT_EQ(plain[0]["id"], 0);
    EXPECT_EQ(plain[1]["id"], 7);
    EXPECT_EQ(plain[1]["keyword"], "0x10");
    EXPECT_EQ(plain[1]["data_bytes"], 0);
    const auto large = playground.events("Large");
    ASSERT_EQ(large.size(), 2U);
    EXPECT_EQ(large[0]["truncated"], true);
    EXPECT_EQ(large[0]["data_bytes"], 60'002);
}

}  // namespace
}  // namespace hvp::tests
