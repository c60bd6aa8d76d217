// The stage `ept`: what its guests read, how many exits that takes, and what it costs.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <iterator>
#include <set>
#include <tuple>

#include "tests/lab/playground.hpp"

namespace hvp::tests {
namespace {

using testing::HasSubstr;

std::uint64_t number(const Json& value) {
    return value.is_string() ? std::stoull(value.get<std::string>(), nullptr, 0)
                             : value.get<std::uint64_t>();
}

// Violations: eleven pages that the first guest comes to use, three exchanges of views in the
// second, and the page that the third must not have. Calls: one, five and none.
const Json exits_of_the_stage = {{"EPT Violation", 15}, {"VMCALL", 6}};

void expect_passed(const Json& summary) {
    EXPECT_EQ(summary["result"], "passed") << summary;
    EXPECT_EQ(summary["witnesses"], "agree");
    EXPECT_EQ(summary["memory"]["leaked_bytes"], 0);
    EXPECT_EQ(summary["state_differences"], Json::array());
    EXPECT_EQ(summary["entry_failures"], Json::array());
    EXPECT_EQ(summary["exits"]["0"], exits_of_the_stage);
}

/// The least bytes with which tables can map the pages, computed from the addresses in the events:
/// one topmost table, and one for each range of 512 GBytes, 1 GByte and 2 MBytes that has a page.
std::uint64_t least_bytes(const std::vector<Json>& needed) {
    std::set<std::pair<unsigned, std::uint64_t>> stretches;
    for (const Json& page : needed) {
        for (const unsigned bits : {39U, 30U, 21U}) {
            stretches.insert({bits, number(page["guest_physical"]) >> bits});
        }
    }
    return 4096 * (1 + stretches.size());
}

TEST(Ept, PassesAndTellsItsStory) {
    Playground playground;
    const Answer answer = playground({"run", "ept"});
    EXPECT_EQ(answer.status, 0) << answer.errors;
    EXPECT_THAT(answer.output, HasSubstr("met 11 EPT violations, 11 predicted"));
    EXPECT_THAT(answer.output, HasSubstr("0xaa, redirected 0xbb, put back 0xaa"));
    expect_passed(playground.summary());
}

TEST(Ept, ThePreparedGuestHasNoViolationButTheOnesThatWereMade) {
    Playground playground;
    EXPECT_EQ(playground({"run", "ept"}).status, 0);
    const auto violations = playground.events("EptViolation");
    ASSERT_EQ(violations.size(), 15U);
    for (std::size_t i = 0; i < violations.size(); ++i) {
        const std::string answer = violations[i]["answer"];
        EXPECT_EQ(answer == "the page is mapped", i < 11) << answer;
    }
    // Between the prepared guest's entry and its first call there is no other exit.
    const auto exits = playground.events("VmExit");
    std::vector<Json> driver;
    std::ranges::copy_if(exits, std::back_inserter(driver),
                         [](const Json& exit) { return exit["from"] == "driver"; });
    EXPECT_EQ(driver[12]["reason"], "VMCALL");
}

TEST(Ept, CostsTheLeastThatIsPossible) {
    Playground playground;
    EXPECT_EQ(playground({"run", "ept"}).status, 0);
    const auto cost = playground.events("EptCost");
    ASSERT_EQ(cost.size(), 1U);
    const std::uint64_t least = least_bytes(playground.events("EptNeededPage"));
    EXPECT_EQ(number(cost[0]["least_table_bytes"]), least);
    EXPECT_LE(number(cost[0]["table_bytes"]) * 10, least * 11);
}

// RIP does not change: the guest executes the same instruction again.
TEST(Ept, NoViolationMovesTheGuest) {
    Playground playground;
    EXPECT_EQ(playground({"run", "ept"}).status, 0);
    const auto violations = playground.events("EptViolation");
    for (std::size_t i = 0; i < 8; ++i) {
        EXPECT_EQ(violations[i]["guest_rip"], violations[0]["guest_rip"])
            << "the first instruction is tried again until it can be executed";
    }
}

class EptOnModel : public testing::TestWithParam<std::tuple<const char*, const char*>> {};

TEST_P(EptOnModel, Passes) {
    const auto [model, memory] = GetParam();
    Playground playground;
    const Answer answer = playground({"run", "ept", "--model", model, "--memory", memory});
    EXPECT_EQ(answer.status, 0) << answer.errors;
    expect_passed(playground.summary());
}

std::string name_of(const testing::TestParamInfo<EptOnModel::ParamType>& info) {
    return std::string{std::get<0>(info.param)} + "_with_" + std::get<1>(info.param) + "_MiB";
}
INSTANTIATE_TEST_SUITE_P(
    WithEpt, EptOnModel,
    testing::Combine(testing::Values("corei5_lynnfield_750", "corei5_arrandale_m520",
                                     "corei7_sandy_bridge_2600k", "corei7_ivy_bridge_3770k",
                                     "corei7_haswell_4770", "broadwell_ult", "corei7_skylake_x",
                                     "corei3_cnl", "corei7_icelake_u", "tigerlake"),
                     testing::Values("512")),
    name_of);
// The emulator takes seven seconds to make so much memory.
INSTANTIATE_TEST_SUITE_P(Oldest, EptOnModel,
                         testing::Combine(testing::Values("corei5_lynnfield_750"),
                                          testing::Values("4096")),
                         name_of);

// The driver is the stage's, built as if the processor lacked them: all emulated ones have them.
TEST(Ept, ShowsOnePageOnlyWhereThereAreNoExecuteOnlyPages) {
    Playground playground;
    const Answer answer =
        playground({"run", "--driver", playground.driver("ept-without-execute-only", "ept")});
    EXPECT_EQ(answer.status, 0) << answer.errors;
    EXPECT_THAT(answer.output, HasSubstr("execute-only pages no"));
    EXPECT_THAT(answer.output, HasSubstr("0xaa, redirected 0xbb, put back 0xaa"));
    EXPECT_THAT(answer.output,
                HasSubstr("was shown no second page, as this processor has no execute-only"));
    // As in the stage, but for the three exchanges of views and the call that merges them again.
    EXPECT_EQ(playground.summary()["exits"]["0"], (Json{{"EPT Violation", 12}, {"VMCALL", 5}}));
    const auto proofs = playground.events("SplitProof");
    ASSERT_EQ(proofs.size(), 1U);
    EXPECT_EQ(proofs[0]["call_after"], "0xaa");
    EXPECT_EQ(proofs[0]["edits"], 2);
    EXPECT_EQ(proofs[0]["invalidations"], 2);
}

TEST(Ept, PassesInAnOddState) {
    Playground playground;
    const Answer answer = playground(
        {"run", "ept", "--cpus", "4", "--processor", "0", "--odd-state", "--loads", "3"});
    EXPECT_EQ(answer.status, 0) << answer.errors;
    EXPECT_EQ(playground.summary()["state_differences"], Json::array());
}

TEST(EptRefused, WhereTheProcessorHasNone) {
    Playground playground;
    const Answer answer = playground({"run", "ept", "--model", "core2_penryn_t9600"});
    EXPECT_EQ(answer.status, 4);
    EXPECT_THAT(answer.errors, HasSubstr("this processor has VT-x without EPT"));
    EXPECT_EQ(playground.summary()["state_differences"], Json::array());
}

class EptWithoutMemory : public testing::TestWithParam<int> {};

// Each allocation fails in turn; everything that was allocated before is freed.
TEST_P(EptWithoutMemory, FreesEverything) {
    Playground playground;
    const Answer answer =
        playground({"run", "ept", "--fail-allocation", std::to_string(GetParam())});
    EXPECT_EQ(answer.status, 4) << answer.errors;
    EXPECT_EQ(playground.summary()["status"], "0xc000009a");
    EXPECT_EQ(playground.summary()["memory"]["leaked_bytes"], 0);
}

INSTANTIATE_TEST_SUITE_P(EachAllocation, EptWithoutMemory, testing::Range(1, 5));

struct Mistake {
    const char* name;  ///< the driver is tests/drivers/ept_edits.cpp under the name ept-…
    int level;
    const char* rule;
};

std::ostream& operator<<(std::ostream& stream, const Mistake& mistake) {
    return stream << mistake.name;
}

class EptMisconfigured : public testing::TestWithParam<Mistake> {};

// [SDM 3C 28.2.3.1 "EPT Misconfigurations"]: processor and walker agree that the entry is wrong.
TEST_P(EptMisconfigured, EndsTheGuestAndNamesEntryAndRule) {
    Playground playground;
    const auto driver = playground.driver("ept-edits", fmt::format("ept-{}", GetParam().name));
    const Answer answer = playground({"run", "--driver", driver});
    EXPECT_EQ(answer.status, 0) << answer.errors;
    EXPECT_EQ(playground.summary()["exits"]["0"], (Json{{"EPT Misconfiguration", 1}}));
    const auto reported = playground.events("Misconfigured");
    ASSERT_EQ(reported.size(), 1U);
    EXPECT_EQ(reported[0]["level"], GetParam().level);
    EXPECT_EQ(reported[0]["rule"], GetParam().rule);
    EXPECT_EQ(reported[0]["rip_moved"], 0);
}

INSTANTIATE_TEST_SUITE_P(
    EachRule, EptMisconfigured,
    testing::Values(Mistake{"memory-type", 1, "its memory type is a reserved one"},
                    Mistake{"reserved-bit", 2, "a reserved bit is set"},
                    Mistake{"write-only", 1, "it allows writes but not reads"}));

// One processor edits, the guest of the other one calls and reads: it always reads the page of the
// last complete edit.
TEST(EptExchange, IsSeenWholeByAGuestOnAnotherProcessor) {
    for (const std::string model :
         {"corei5_lynnfield_750", "corei7_skylake_x", "corei7_icelake_u"}) {
        Playground playground;
        const auto driver = playground.driver("ept-edits", "ept-exchange");
        const Answer answer = playground({"run", "--driver", driver, "--cpus", "2", "--model",
                                          model, "--timeout-ticks", "100000000"});
        EXPECT_EQ(answer.status, 0) << answer.errors;
        const auto proofs = playground.events("ExchangeProof");
        ASSERT_EQ(proofs.size(), 1U);
        EXPECT_EQ(proofs[0]["exchanges"], 200);
        EXPECT_GE(proofs[0]["judged"], 400);
        EXPECT_EQ(proofs[0]["wrong"], 0);
        EXPECT_EQ(proofs[0]["strange"], 0);
        // One exit for each exchange, by NMI, and the hypercall that ends the guest; no EPT
        // violation.
        EXPECT_EQ(playground.summary()["exits"]["1"],
                  (Json{{"Exception or NMI", 200}, {"VMCALL", 1}}));
    }
}

}  // namespace
}  // namespace hvp::tests
