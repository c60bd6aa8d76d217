// The stage `launch`, as a user runs it, and on every machine that it supports.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/lab/playground.hpp"

namespace hvp::tests {
namespace {

using testing::HasSubstr;

void expect_launched(const Json& summary) {
    EXPECT_EQ(summary["result"], "passed");
    EXPECT_EQ(summary["reason"], "");
    EXPECT_EQ(summary["status"], "0x00000000");
    EXPECT_EQ(summary["witnesses"], "agree");
    EXPECT_EQ(summary["memory"]["leaked_bytes"], 0);
    EXPECT_EQ(summary["state_differences"], Json::array());
    EXPECT_EQ(summary["entry_failures"], Json::array());
}

const Json one_hlt_on_processor_0 = {{"0", {{"HLT", 1}}}};

TEST(Launch, PassesAndTellsItsStory) {
    Playground playground;
    const Answer answer = playground({"run"});
    EXPECT_EQ(answer.status, 0) << answer.errors;
    EXPECT_EQ(answer.errors, "");
    EXPECT_THAT(answer.output,
                HasSubstr("launch · corei7_skylake_x · 1 processor · real launch.sys"));
    EXPECT_THAT(answer.output, HasSubstr("VM exit 12 HLT, qualification 0"));
    EXPECT_THAT(answer.output, HasSubstr("\npassed in "));
    const Json summary = playground.summary();
    expect_launched(summary);
    EXPECT_EQ(summary["stage"], "launch");
    EXPECT_EQ(summary["driver"]["file"], "launch.sys");
    EXPECT_EQ(summary["driver"]["sha256"].get<std::string>().size(), 64U);
    EXPECT_EQ(summary["machine"]["emulator"], "Bochs 2.7");
    EXPECT_EQ(summary["exits"], one_hlt_on_processor_0);
    EXPECT_EQ(summary["expected_changes"], Json::array());
    EXPECT_GT(summary["memory"]["peak_bytes"], 0);
    EXPECT_EQ(playground.processes(), 0U);
}

TEST(Launch, LeavesTheFilesOfTheContract) {
    Playground playground;
    EXPECT_EQ(playground({"run"}).status, 0);
    EXPECT_THAT(playground.file("processor.log"),
                HasSubstr("VMEXIT reason = 12 (HLT) qualification=0x0"));
    EXPECT_THAT(playground.file("story.txt"), HasSubstr("DriverEntry returned STATUS_SUCCESS"));
    EXPECT_EQ(playground.file("bochs.log"), "");  // only when asked for, or on failure
    EXPECT_FALSE(std::filesystem::exists(playground.runs() / "latest" / "work"));
    for (const char* name : {"VmxOn", "VmEntry", "VmExit", "VmxOff", "DriverEntry", "Summary"}) {
        EXPECT_FALSE(playground.events(name).empty()) << name;
    }
}

TEST(Launch, TheSameRunGivesTheSameBytes) {
    Playground first;
    Playground second;
    EXPECT_EQ(first({"run"}).status, 0);
    EXPECT_EQ(second({"run"}).status, 0);
    EXPECT_NE(first.file("events.jsonl"), "");
    EXPECT_EQ(first.file("events.jsonl"), second.file("events.jsonl"));
    EXPECT_EQ(first.file("processor.log"), second.file("processor.log"));
}

TEST(Launch, AnotherSeedGivesAnotherRun) {
    Playground first;
    Playground second;
    EXPECT_EQ(first({"run", "--seed", "1"}).status, 0);
    EXPECT_EQ(second({"run", "--seed", "2"}).status, 0);
    EXPECT_NE(first.file("events.jsonl"), second.file("events.jsonl"));
}

TEST(Launch, LoadsThreeTimesInARow) {
    Playground playground;
    EXPECT_EQ(playground({"run", "--loads", "3"}).status, 0);
    expect_launched(playground.summary());
    EXPECT_EQ(playground.summary()["exits"], (Json{{"0", {{"HLT", 3}}}}));
    EXPECT_EQ(playground.events("DriverUnloadReturned").size(), 3U);
}

TEST(Launch, PassesFromAnOddState) {
    Playground playground;
    const Answer answer = playground({"run", "--odd-state", "--loads", "2"});
    EXPECT_EQ(answer.status, 0) << answer.errors;
    expect_launched(playground.summary());
}

TEST(Launch, PassesOnEightProcessorsAndUsesTheOneWhereItStarts) {
    Playground playground;
    const Answer answer = playground({"run", "--cpus", "8"});
    EXPECT_EQ(answer.status, 0) << answer.errors;
    const std::string start = playground.events("DriverEntry").at(0)["cpu"].dump();
    EXPECT_EQ(playground.summary()["exits"], (Json{{start, {{"HLT", 1}}}}));
    EXPECT_TRUE(playground.summary()["root_ticks"].is_null());  // the clock is too coarse
}

TEST(Launch, SaysThatItLocksWhatFirmwareLeftOpen) {
    Playground playground;
    const Answer answer = playground({"run", "--firmware-vmx", "unlocked"});
    EXPECT_EQ(answer.status, 0) << answer.errors;
    const Json changes = playground.summary()["expected_changes"];
    ASSERT_EQ(changes.size(), 1U);
    EXPECT_EQ(changes[0]["item"], "FEATURE_CONTROL");
    EXPECT_EQ(playground.summary()["state_differences"], Json::array());
}

TEST(Launch, KeepsTheWholeLogWhenAsked) {
    Playground playground;
    EXPECT_EQ(playground({"run", "--keep"}).status, 0);
    EXPECT_THAT(playground.file("bochs.log"), HasSubstr("VMEXIT reason = 12 (HLT)"));
    EXPECT_TRUE(std::filesystem::exists(playground.runs() / "latest" / "work" / "bochsrc"));
}

TEST(Launch, PrintsTheSummaryAndNothingElseAsJson) {
    Playground playground;
    const Answer answer = playground({"run", "--json"});
    EXPECT_EQ(answer.status, 0);
    EXPECT_EQ(answer.output, playground.file("summary.json"));
    EXPECT_TRUE(Json::accept(answer.output));
    EXPECT_EQ(answer.errors, "");
}

TEST(Launch, FreesEverythingWhicheverAllocationFails) {
    for (unsigned number = 1;; ++number) {
        Playground playground;
        const Answer answer = playground({"run", "--fail-allocation", std::to_string(number)});
        if (playground.events("AllocationFailed").empty()) {
            EXPECT_GT(number, 1U) << "no allocation failed at all";
            EXPECT_EQ(answer.status, 0);  // it has fewer allocations: none failed
            break;
        }
        EXPECT_EQ(answer.status, 4) << number << ": " << answer.errors;
        EXPECT_EQ(playground.summary()["status"], "0xc000009a") << number;
        EXPECT_EQ(playground.summary()["memory"]["leaked_bytes"], 0) << number;
        EXPECT_EQ(playground.summary()["exits"], Json::object()) << number;
        ASSERT_LT(number, 50U);
    }
}

void expect_launched_on(const char* model, const char* memory) {
    Playground playground;
    const Answer answer = playground({"run", "--model", model, "--memory", memory});
    EXPECT_EQ(answer.status, 0) << memory << " MiB: " << answer.errors;
    expect_launched(playground.summary());
    EXPECT_EQ(playground.summary()["exits"], one_hlt_on_processor_0);
}

// Every model with VT-x.
class LaunchOnModel : public testing::TestWithParam<const char*> {};

TEST_P(LaunchOnModel, PassesWithLittleMemory) {
    expect_launched_on(GetParam(), "64");
}

TEST_P(LaunchOnModel, PassesWithTheUsualMemory) {
    expect_launched_on(GetParam(), "512");
}

// The emulator takes seconds to allocate so much memory. The oldest model has 36 physical address
// bits, which is still more than this. (The newest one has as much in ept_identity_test.cpp.)
TEST(LaunchInALargeMachine, PassesOnTheOldestModel) {
    expect_launched_on("core2_penryn_t9600", "4096");
}

INSTANTIATE_TEST_SUITE_P(VtX, LaunchOnModel,
                         testing::Values("core2_penryn_t9600", "corei5_lynnfield_750",
                                         "corei5_arrandale_m520", "corei7_sandy_bridge_2600k",
                                         "corei7_ivy_bridge_3770k", "corei7_haswell_4770",
                                         "broadwell_ult", "corei7_skylake_x", "corei3_cnl",
                                         "corei7_icelake_u", "tigerlake"),
                         [](const auto& instance) { return std::string{instance.param}; });

void expect_refused(const std::vector<std::string>& arguments) {
    Playground playground;
    const Answer answer = playground(arguments);
    EXPECT_EQ(answer.status, 4) << answer.errors;
    EXPECT_THAT(answer.errors, HasSubstr("launch: launch.sys refused to start with"));
    const Json summary = playground.summary();
    EXPECT_EQ(summary["result"], "refused");
    EXPECT_EQ(summary["exits"], Json::object());
    EXPECT_EQ(summary["state_differences"], Json::array());
    EXPECT_EQ(summary["memory"]["leaked_bytes"], 0);
}

class LaunchRefusesModel : public testing::TestWithParam<const char*> {};

TEST_P(LaunchRefusesModel, WithoutVtX) {
    expect_refused({"run", "--model", GetParam()});
}

INSTANTIATE_TEST_SUITE_P(NoVtX, LaunchRefusesModel,
                         testing::Values("ryzen", "athlon64_clawhammer", "p4_prescott_celeron_336"),
                         [](const auto& instance) { return std::string{instance.param}; });

TEST(LaunchRefuses, AMachineWhoseFirmwareForbidsVmx) {
    expect_refused({"run", "--firmware-vmx", "locked-off"});
}

class StoryOf : public testing::TestWithParam<const char*> {};

// The PDB names all of them, also in functions that have no unwind data.
TEST_P(StoryOf, NamesEveryPlaceByItsFunction) {
    Playground playground;
    const Answer answer = playground({"run", GetParam()});
    EXPECT_EQ(answer.status, 0) << answer.errors;
    EXPECT_THAT(answer.output, testing::ContainsRegex("[a-z_]+[+]0x[0-9a-f]+"));
    EXPECT_THAT(answer.output, testing::Not(HasSubstr(".sys+0x")));
}

INSTANTIATE_TEST_SUITE_P(EachStage, StoryOf,
                         testing::Values("launch", "guest-state", "event-injection", "ept",
                                         "ept-identity"));

}  // namespace
}  // namespace hvp::tests
