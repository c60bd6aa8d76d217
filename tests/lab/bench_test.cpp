// What an exit costs, in instructions: the same each time, so a test can hold it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/lab/playground.hpp"

namespace hvp::tests {
namespace {

Json result_named(const Json& results, const std::string& name) {
    for (const Json& result : results) {
        if (result["case"] == name) {
            return result;
        }
    }
    ADD_FAILURE() << "no case " << name << " in " << results;
    return {{"min", 0}, {"max", 0}};
}

TEST(BenchExits, CpuidIsWithinOneAndAHalfOfTheHonestFloor) {
    Playground playground;
    const Answer answer = playground({"bench", "exits", "--json"});
    ASSERT_EQ(answer.status, 0) << answer.errors;
    const Json results = Json::parse(answer.output)["results"];
    for (const char* name : {"CPUID", "HLT", "RDMSR", "WRMSR", "VMCALL", "MOV from CR3 to RAX",
                             "MOV from RAX to CR3"}) {
        for (const std::string& kind : {std::string{name}, std::string{name} + ", traced"}) {
            const Json result = result_named(results, kind);
            EXPECT_EQ(result["n"], 100) << kind;
            EXPECT_EQ(result["min"], result["max"]) << kind << ": the same work each time";
        }
    }
    // Counted by hand in bench/floor.S.
    EXPECT_EQ(result_named(results, "CPUID, honest floor")["max"], 61);
    EXPECT_EQ(result_named(results, "CPUID, bare minimum")["max"], 18);
    const Json cpuid = result_named(results, "CPUID");
    EXPECT_EQ(cpuid["floor"], 61);
    EXPECT_LE(cpuid["max"], 61 + 61 / 2);
    EXPECT_LT(cpuid["max"], 100);
    EXPECT_FALSE(std::filesystem::exists(playground.runs())) << "not among the user's runs";
}

TEST(BenchExits, AreShownAsATable) {
    Playground playground;
    const Answer answer = playground({"bench", "exits"});
    EXPECT_EQ(answer.status, 0) << answer.errors;
    EXPECT_THAT(answer.output, testing::HasSubstr("CPUID, honest floor"));
    EXPECT_THAT(answer.output, testing::HasSubstr("times the honest floor"));
}

// A floor that did less than the VMM would be none: same answers of CPUID, registers, single step.
TEST(BenchExits, TheHonestFloorDoesWhatTheVmmDoes) {
    std::vector<Json> told;
    for (const char* name : {"answers-vmm", "answers-floor"}) {
        Playground playground;
        const Answer answer =
            playground({"run", "--driver", playground.driver("bench-exits", name)});
        EXPECT_EQ(answer.status, 0) << answer.errors;
        const auto done = playground.events("ExitsDone");
        ASSERT_EQ(done.size(), 1U);
        EXPECT_EQ(done[0]["done"], 10);
        EXPECT_EQ(done[0]["step"], 0) << "TF's debug exception comes right behind CPUID";
        told.push_back(done[0]["answers"]);
    }
    EXPECT_EQ(told[0], told[1]);
    EXPECT_NE(told[0], "0x0");
}

}  // namespace
}  // namespace hvp::tests
