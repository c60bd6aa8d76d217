// The stage `guest-state`, and its VMM: the guest's state survives exits, and the VMM survives
// exceptions and NMIs.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/lab/playground.hpp"

namespace hvp::tests {
namespace {

using testing::ContainsRegex;
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
    EXPECT_THAT(answer.output,
                ContainsRegex("exit 10 CPUID \\(leaf 0x40000000\\) at "
                              "guest_main\\+0x[0-9a-f]+: on_cpuid +[+][0-9]+ instr\n"));
    EXPECT_THAT(answer.output, HasSubstr("exit 28 MOV from CR3 to RAX at guest_main+0x"));
    EXPECT_THAT(answer.output, HasSubstr("kept its registers in 10 of 10 exits"));
    expect_passed(playground.summary());
    EXPECT_EQ(playground.summary()["exits"]["0"], exits_of_the_stage);
}

// The cost in the story is the processor's: from its VMEXIT to its next VMENTER.
TEST(GuestState, ShowsTheCostThatTheProcessorLogged) {
    Playground playground;
    const Answer answer = playground({"run", "guest-state"});
    const Json cost = playground.summary()["root_ticks"]["RDMSR"];
    EXPECT_EQ(cost["n"], 1);
    EXPECT_THAT(answer.output,
                ContainsRegex(fmt::format("exit 31 RDMSR .*: on_rdmsr +[+]{} instr\n",
                                          cost["min"].get<unsigned>())));
}

// The story matches story.txt, or the run would not pass; also without odd state.
TEST(GuestState, TellsTheSameStoryOnWhicheverProcessorItStarts) {
    for (const char* const processor : {"0", "1"}) {
        Playground playground;
        const Answer answer =
            playground({"run", "guest-state", "--cpus", "2", "--processor", processor});
        EXPECT_EQ(answer.status, 0) << answer.errors;
        EXPECT_EQ(playground.summary()["exits"][processor], exits_of_the_stage);
    }
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

// Each allocation fails in turn; everything that was allocated before is freed.
TEST_P(GuestStateWithoutMemory, FreesEverything) {
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

// The driver succeeds if the VMM has ended its guest as expected; the processor's state is
// restored.
TEST_P(VmmSurvives, AndRestoresTheProcessor) {
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
                                         Mishap{"xsetbv", -1}, Mishap{"refused-wrmsr", -1},
                                         Mishap{"unknown-exit", -1}, Mishap{"triple-fault", -1},
                                         Mishap{"page-fault", 14}, Mishap{"read-discardable", 14},
                                         Mishap{"write-code", 14}, Mishap{"non-canonical", 13},
                                         Mishap{"invalid-opcode", 6}, Mishap{"divide-error", 0},
                                         Mishap{"stack-overflow", 14}),
                         [](const auto& instance) {
                             std::string name = instance.param.name;
                             std::ranges::replace(name, '-', '_');
                             return name;
                         });

// [SDM 3C 26.6.1 "Interruptibility State"], [SDM 3C 26.6.6 "NMI-Window Exiting"]
class NmisArrive : public testing::TestWithParam<const char*> {};

TEST_P(NmisArrive, EachOfAThousandOnceWhereverItFindsTheReceiver) {
    Playground playground;
    const Answer answer = playground({"run", "--driver", playground.driver("vmm-nmi", "vmm-nmi"),
                                      "--cpus", "2", "--seed", GetParam(), "--no-processor-log"});
    EXPECT_EQ(answer.status, 0) << answer.errors;
    const auto proofs = playground.events("NmiProof");
    ASSERT_EQ(proofs.size(), 1U);
    EXPECT_EQ(proofs[0]["sent"], 1000);
    EXPECT_EQ(proofs[0]["received"], 1000);
    EXPECT_EQ(proofs[0]["nested"], 0);
    EXPECT_GT(proofs[0]["in_guest"], 0) << proofs[0];
    EXPECT_GT(proofs[0]["in_vmm"], 0) << proofs[0];
    EXPECT_EQ(proofs[0]["in_guest"].get<int>() + proofs[0]["in_vmm"].get<int>(), 1000);
}

INSTANTIATE_TEST_SUITE_P(Seeds, NmisArrive, testing::Values("0", "1"));

// The exits that the VMM counted, those that were read, and those that were dropped.
void expect_exact(const Json& flood, int exits) {
    EXPECT_EQ(flood["exits"], exits + 1);
    EXPECT_EQ(flood["read"].get<int>() + flood["dropped"].get<int>(), exits + 1) << flood;
    EXPECT_EQ(flood["torn"], 0) << flood;
    EXPECT_GT(flood["dropped"], 0);
}

// A quarter of a million exits, in the long tests all of it.
TEST(Flood, IsReadByAnotherProcessorWithoutATear) {
    Playground playground;
    const int exits = is_long() ? 1'000'000 : 250'000;
    const char* const service = is_long() ? "vmm-flood-read" : "vmm-flood-quarter";
    // Processor 0 expires the reader's timers, so the guest runs on the other one.
    const Answer answer = playground({"run", "--driver", playground.driver("vmm-flood", service),
                                      "--cpus", "2", "--processor", "1", "--no-processor-log"});
    EXPECT_EQ(answer.status, 0) << answer.errors;
    const auto floods = playground.events("Flood");
    ASSERT_EQ(floods.size(), 1U);
    expect_exact(floods[0], exits);
    EXPECT_GT(floods[0]["read"], exits / 2) << "the reader keeps pace, mostly";
    EXPECT_GT(floods[0]["missing"], 0) << "some are dropped in between";
    EXPECT_EQ(playground.summary()["witnesses"], "not compared");
}

// The reported and the dropped exits together are all that the processor has logged, in order.
TEST(Flood, ThatNobodyReadsIsCountedToTheLastExit) {
    Playground playground;
    const Answer answer =
        playground({"run", "--driver", playground.driver("vmm-flood", "vmm-flood-logged")});
    EXPECT_EQ(answer.status, 0) << answer.errors;
    EXPECT_EQ(playground.summary()["witnesses"], "agree");
    EXPECT_EQ(playground.summary()["exits"]["0"]["CPUID"], 20'000);
    EXPECT_EQ(playground.events("EventsDropped")[0]["count"], 20'001 - 1024);
    std::size_t of_driver = 0;
    for (const Json& exit : playground.events("VmExit")) {
        of_driver += exit["from"] == "driver" ? 1U : 0U;
    }
    EXPECT_EQ(of_driver, 1024U);
}

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
