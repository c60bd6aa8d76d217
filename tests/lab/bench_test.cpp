// What an exit costs, in instructions: the same each time, so that a test can check it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <tuple>

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

TEST(BenchExits, CostWhatIsAllowed) {
    Playground playground;
    const Answer answer = playground({"bench", "exits", "--json"});
    ASSERT_EQ(answer.status, 0) << answer.errors;
    const Json results = Json::parse(answer.output)["results"];
    for (const char* name : {"CPUID", "HLT", "RDMSR", "WRMSR", "VMCALL", "VMXOFF",
                             "MOV from CR3 to RAX", "MOV from RAX to CR3"}) {
        for (const std::string& kind : {std::string{name}, std::string{name} + ", traced"}) {
            const Json result = result_named(results, kind);
            EXPECT_EQ(result["n"], 100) << kind;
            EXPECT_EQ(result["min"], result["max"]) << kind << ": the same work each time";
        }
    }
    // Counted by hand in bench/floor.S.
    EXPECT_EQ(result_named(results, "CPUID, floor")["max"], 30);
    EXPECT_EQ(result_named(results, "CPUID, bare minimum")["max"], 18);
    const Json cpuid = result_named(results, "CPUID");
    EXPECT_EQ(cpuid["floor"], 30);
    EXPECT_LE(cpuid["max"], 75);
    EXPECT_LE(result_named(results, "CPUID, traced")["max"], 130);
    EXPECT_LE(result_named(results, "VMXOFF, traced")["max"], 160) << "#UD injected";
    EXPECT_FALSE(std::filesystem::exists(playground.runs())) << "not among the user's runs";
}

TEST(BenchExits, AreShownAsATable) {
    Playground playground;
    const Answer answer = playground({"bench", "exits"});
    EXPECT_EQ(answer.status, 0) << answer.errors;
    EXPECT_THAT(answer.output, testing::HasSubstr("CPUID, floor"));
    EXPECT_THAT(answer.output, testing::HasSubstr("#UD injected"));
}

// The floor must do all that the VMM does: same answers of CPUID, registers, single step.
TEST(BenchExits, TheFloorDoesWhatTheVmmDoes) {
    std::vector<Json> answers;
    for (const char* name : {"answers-vmm", "answers-floor"}) {
        Playground playground;
        const Answer answer =
            playground({"run", "--driver", playground.driver("bench-exits", name)});
        EXPECT_EQ(answer.status, 0) << answer.errors;
        const auto done = playground.events("ExitsDone");
        ASSERT_EQ(done.size(), 1U);
        EXPECT_EQ(done[0]["done"], 10);
        EXPECT_EQ(done[0]["step"], 0) << "TF's debug exception comes directly after CPUID";
        answers.push_back(done[0]["answers"]);
    }
    EXPECT_EQ(answers[0], answers[1]);
    EXPECT_NE(answers[0], "0x0");
}

// Built for the set of pages that the stage's chapter counts. An edit and its reverse take
// different branches, and so a few instructions more or less; otherwise it is the same work each
// time. Five tables, fifteen pages; an exit for CPUID costs what `bench exits` says.
void expect_least_possible(Playground& playground, const Json& results) {
    const Json build = result_named(results, "build");
    EXPECT_EQ(build["floor"], 5 * 512 + 15 + 4);
    EXPECT_GT(build["max"], build["floor"]);
    const Json violation = result_named(results, "EPT violation");
    EXPECT_GT(violation["min"], result_named(results, "edit")["max"]);
    const Json exits = Json::parse(playground({"bench", "exits", "--json"}).output)["results"];
    EXPECT_EQ(violation["floor"], result_named(exits, "CPUID")["max"]);
}

// The tables of an identity map, counted by hand: the PML4 table, one for each 512 GiB, one
// directory for the first gigabyte or, with small pages, for each; page tables for the first 2
// MBytes or for all.
void expect_identities(const Json& results) {
    const auto tables = [&](const char* name) {
        return result_named(results, name)["max"].get<std::uint64_t>() / 4096;
    };
    EXPECT_EQ(tables("identity of 64 GiB, pages of 1 GB"), 1 + 1 + 1 + 1);
    EXPECT_EQ(tables("identity of 64 GiB, pages of 2 MB"), 1 + 1 + 64 + 1);
    EXPECT_EQ(tables("identity of 64 GiB, pages of 4 KB"), 1 + 1 + 64 + 64 * 512);
    EXPECT_EQ(tables("identity of 65536 GiB, pages of 1 GB"), 1 + 128 + 1 + 1);
    EXPECT_EQ(tables("identity of 65536 GiB, pages of 2 MB, for each of 8 processors"),
              8 * (1 + 128 + 65536 + 1));
    // The step view composes a page, so that it costs most; the data view compares RIP.
    const auto cost = [&](const char* view) { return result_named(results, view)["max"]; };
    EXPECT_GT(cost("EPT violation, to the step view"), cost("EPT violation, to the data view"));
    EXPECT_GT(cost("EPT violation, to the data view"), cost("EPT violation, to the code view"));
    EXPECT_LE(cost("EPT violation, to the data view"), 340);
    EXPECT_LE(cost("EPT violation, to the data view, traced"), 480);
    EXPECT_GT(cost("split"), 512);
    EXPECT_GT(cost("join"), 512);
}

TEST(BenchEpt, CostsTheSameEachTime) {
    Playground playground;
    const Answer answer = playground({"bench", "ept", "--json"});
    ASSERT_EQ(answer.status, 0) << answer.errors;
    const Json results = Json::parse(answer.output)["results"];
    constexpr int a_few = 16;
    constexpr int walk = 32;  // the stage looks afterwards what the EPT maps
    for (const auto& [name, times, most] :
         {std::tuple{"build", 20, 0}, {"edit", 40, a_few}, {"EPT violation", 40, walk}}) {
        const Json result = result_named(results, name);
        EXPECT_EQ(result["unit"], "instructions") << name;
        EXPECT_EQ(result["n"], times) << name;
        EXPECT_LE(result["max"].get<int>() - result["min"].get<int>(), most) << name;
    }
    EXPECT_EQ(result_named(results, "tables")["max"], 5 * 4096);
    EXPECT_EQ(result_named(results, "pool")["max"], 64 * 4096);
    EXPECT_FALSE(std::filesystem::exists(playground.runs())) << "not among the user's runs";
    expect_least_possible(playground, results);
    expect_identities(results);
}

TEST(BenchEpt, IsShownAsATable) {
    Playground playground;
    const Answer answer = playground({"bench", "ept"});
    EXPECT_EQ(answer.status, 0) << answer.errors;
    EXPECT_THAT(answer.output, testing::HasSubstr("a page redirected, INVEPT included"));
    EXPECT_THAT(answer.output, testing::HasSubstr("taken for them before launch"));
    EXPECT_THAT(answer.output, testing::HasSubstr("64 GiB, pages of 1 GB"));
}

}  // namespace
}  // namespace hvp::tests
