// The stage `guest-state`, and the VMM that it shows: what a guest keeps, and what the VMM
// survives.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/lab/playground.hpp"

namespace hvp::tests {
namespace {

using testing::HasSubstr;

const Json exits_of_the_stage = {{"CPUID", 2}, {"CR Access", 2}, {"HLT", 2},
                                 {"RDMSR", 1}, {"VMCALL", 3},    {"WRMSR", 1}};

void expect_passed(const Json& summary) {
    EXPECT_EQ(summary["result"], "passed") << summary;
    EXPECT_EQ(summary["witnesses"], "agree");
    EXPECT_EQ(summary["memory"]["leaked_bytes"], 0);
    EXPECT_EQ(summary["state_differences"], Json::array());
    EXPECT_EQ(summary["entry_failures"], Json::array());
}

TEST(GuestState, PassesAndTellsItsStory) {
    Playground playground;
    const Answer answer = playground({"run", "guest-state"});
    EXPECT_EQ(answer.status, 0) << answer.errors;
    EXPECT_THAT(answer.output, HasSubstr("saw exit 10 CPUID (leaf 0x40000000)"));
    EXPECT_THAT(answer.output, HasSubstr("(MOV from CR3 to RAX)"));
    EXPECT_THAT(answer.output, HasSubstr("kept its registers in 10 of 10 exits"));
    expect_passed(playground.summary());
    EXPECT_EQ(playground.summary()["exits"]["0"], exits_of_the_stage);
}

class GuestStateOnModel : public testing::TestWithParam<const char*> {};

// On two processors the stage starts on whichever the seed chooses.
TEST_P(GuestStateOnModel, Passes) {
    Playground playground;
    const Answer answer = playground({"run", "guest-state", "--model", GetParam(), "--odd-state",
                                      "--loads", "2", "--cpus", "2"});
    EXPECT_EQ(answer.status, 0) << answer.errors;
    expect_passed(playground.summary());
}

INSTANTIATE_TEST_SUITE_P(VtX, GuestStateOnModel,
                         testing::Values("core2_penryn_t9600", "corei5_lynnfield_750",
                                         "corei5_arrandale_m520", "corei7_sandy_bridge_2600k",
                                         "corei7_ivy_bridge_3770k", "corei7_haswell_4770",
                                         "broadwell_ult", "corei7_skylake_x", "corei3_cnl",
                                         "corei7_icelake_u", "tigerlake"));

class GuestStateWithoutMemory : public testing::TestWithParam<int> {};

// Each allocation fails in turn; everything that was taken before is given back.
TEST_P(GuestStateWithoutMemory, GivesEverythingBack) {
    Playground playground;
    const Answer answer =
        playground({"run", "guest-state", "--fail-allocation", std::to_string(GetParam())});
    EXPECT_EQ(answer.status, 4) << answer.errors;
    EXPECT_EQ(playground.summary()["status"], "0xc000009a");
    EXPECT_EQ(playground.summary()["memory"]["leaked_bytes"], 0);
}

INSTANTIATE_TEST_SUITE_P(EachAllocation, GuestStateWithoutMemory, testing::Range(1, 4));

TEST(GuestStateRefused, WhereThereIsNoVtX) {
    Playground playground;
    EXPECT_EQ(playground({"run", "guest-state", "--model", "ryzen"}).status, 4);
    EXPECT_EQ(playground({"run", "guest-state", "--firmware-vmx", "locked-off"}).status, 4);
}

struct Mishap {
    const char* name;  ///< the driver is tests/drivers/vmm.cpp under the name vmm-…
    int vector;        ///< of the exception in the VMM; -1: there is none
};

std::ostream& operator<<(std::ostream& stream, const Mishap& mishap) {
    return stream << mishap.name;
}

class VmmSurvives : public testing::TestWithParam<Mishap> {};

// The driver succeeds when the VMM ended its guest as it should have; the processor is as before.
TEST_P(VmmSurvives, AndGivesTheProcessorBack) {
    Playground playground;
    const auto driver = playground.driver("vmm", fmt::format("vmm-{}", GetParam().name));
    const Answer answer = playground({"run", "--driver", driver});
    EXPECT_EQ(answer.status, 0) << answer.errors;
    EXPECT_EQ(playground.summary()["state_differences"], Json::array());
    const auto endings = playground.events("GuestEnded");
    ASSERT_EQ(endings.size(), 1U);
    if (GetParam().vector >= 0) {
        EXPECT_EQ(endings[0]["vector"], GetParam().vector) << endings[0];
        EXPECT_EQ(endings[0]["reason"], "CPUID");
        EXPECT_NE(endings[0]["rip"], "0x0");
    }
}

INSTANTIATE_TEST_SUITE_P(EachMishap, VmmSurvives,
                         testing::Values(Mishap{"stop", -1}, Mishap{"invd", -1},
                                         Mishap{"triple-fault", -1}, Mishap{"page-fault", 14},
                                         Mishap{"write-code", 14}, Mishap{"non-canonical", 13},
                                         Mishap{"invalid-opcode", 6}, Mishap{"divide-error", 0},
                                         Mishap{"stack-overflow", 14}),
                         [](const auto& instance) {
                             std::string name = instance.param.name;
                             std::ranges::replace(name, '-', '_');
                             return name;
                         });

class NoExitChangesTheState : public testing::TestWithParam<const char*> {};

TEST_P(NoExitChangesTheState, InThousandsOfRandomStates) {
    Playground playground;
    const Answer answer =
        playground({"run", "--driver", playground.driver("vmm-state", "vmm-state"), "--model",
                    GetParam(), "--seed", "7"});
    EXPECT_EQ(answer.status, 0) << answer.errors;
    const auto proofs = playground.events("StateProof");
    ASSERT_EQ(proofs.size(), 1U);
    EXPECT_EQ(proofs[0]["states"], 2100);
    EXPECT_GE(proofs[0]["least_for_an_instruction"], 100);
    EXPECT_EQ(proofs[0]["different"], 0) << proofs[0];
}

// Without XSAVE, with AVX, with AVX-512.
INSTANTIATE_TEST_SUITE_P(Models, NoExitChangesTheState,
                         testing::Values("core2_penryn_t9600", "corei7_sandy_bridge_2600k",
                                         "corei7_skylake_x"));

}  // namespace
}  // namespace hvp::tests
