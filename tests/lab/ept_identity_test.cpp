// The stage `ept-identity`: what its guest reads and executes in all of memory and in the split
// pages; and guests with views on several processors at once.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <string>

#include "tests/lab/playground.hpp"

namespace hvp::tests {
namespace {

using testing::HasSubstr;

std::uint64_t number(const Json& value) {
    return value.is_string() ? std::stoull(value.get<std::string>(), nullptr, 0)
                             : value.get<std::uint64_t>();
}

// Violations: two calls and two reads, of which the first read needs none; the instruction that
// reads its own page, and the fetch after it; a read and a write from outside, and the call
// between. The step ends with a debug exception. Calls: four, and the one that ends each guest.
// MTRRs: base and mask, twice.
const Json exits_of_the_stage = {
    {"EPT Violation", 8}, {"Exception or NMI", 1}, {"RDMSR", 4}, {"VMCALL", 6}, {"WRMSR", 4}};

/// `witnesses`: a test driver reports no exits, so there is only one.
void expect_passed(const Json& summary, const char* witnesses = "agree") {
    EXPECT_EQ(summary["result"], "passed") << summary;
    EXPECT_EQ(summary["witnesses"], witnesses);
    EXPECT_EQ(summary["memory"]["leaked_bytes"], 0);
    EXPECT_EQ(summary["state_differences"], Json::array());
    EXPECT_EQ(summary["entry_failures"], Json::array());
}

Json only_event(Playground& playground, const std::string& name) {
    const auto events = playground.events(name);
    EXPECT_EQ(events.size(), 1U) << name;
    return events.empty() ? Json::object() : events[0];
}

/// A model's features: pages of 1 GByte and accessed and dirty flags came together in these, the
/// page-modification log later.
struct Model {
    const char* name;
    bool flags;
    bool log;
};
constexpr auto models = std::to_array<Model>({{"corei5_lynnfield_750", false, false},
                                              {"corei5_arrandale_m520", false, false},
                                              {"corei7_sandy_bridge_2600k", false, false},
                                              {"corei7_ivy_bridge_3770k", false, false},
                                              {"corei7_haswell_4770", true, false},
                                              {"broadwell_ult", true, false},
                                              {"corei7_skylake_x", true, true},
                                              {"corei3_cnl", true, false},
                                              {"corei7_icelake_u", true, true},
                                              {"tigerlake", true, true}});

/// The lab's firmware makes the first megabyte and the fourth gigabyte differ from the rest. So
/// with pages of 1 GByte the identity takes a PML4 table, two tables of 512 GBytes for 40 address
/// bits, a directory for the first gigabyte, and a page table for the first 2 MBytes; with pages of
/// 2 MBytes there is a directory for each gigabyte.
std::uint64_t least_tables(const Model& model) {
    constexpr std::uint64_t gigabytes = 1024;
    return 1 + 2 + (model.flags ? 1 : gigabytes) + 1;
}

void expect_facts(Playground& playground, const Model& model) {
    expect_passed(playground.summary());
    EXPECT_EQ(playground.summary()["exits"]["0"], exits_of_the_stage);
    const Json identity = only_event(playground, "IdentityMapped");
    EXPECT_EQ(number(identity["tables"]), least_tables(model));
    // Together the pages are all of memory.
    EXPECT_EQ((number(identity["pages_1_gb"]) << 30) + (number(identity["pages_2_mb"]) << 21) +
                  (number(identity["pages_4_kb"]) << 12),
              1ULL << number(identity["physical_address_bits"]));
    const Json features = only_event(playground, "GuestFeatures");
    EXPECT_EQ(features["vpid"], "yes");
    // Bochs 2.7 offers the monitor trap flag on two models, and it does nothing.
    EXPECT_EQ(features["step"], "RFLAGS.TF");
    const auto touched = playground.events("PageTouched");
    ASSERT_EQ(touched.size(), 4U);
    const std::array flags{"accessed", "accessed and dirty", "clear", "accessed and dirty"};
    const std::array log{"nothing", "the page", "nothing", "the page"};
    for (std::size_t i = 0; i < touched.size(); ++i) {
        EXPECT_EQ(touched[i]["flags"], model.flags ? flags[i] : "not to be had");
        EXPECT_EQ(touched[i]["log"], model.log ? log[i] : "not to be had");
    }
    const Json faces = only_event(playground, "HookProof");
    EXPECT_EQ(faces["reads_right"], 2);
    EXPECT_EQ(faces["calls_elsewhere"], 2);
    EXPECT_EQ(faces["steps"], 1);
    EXPECT_EQ(only_event(playground, "CutProof")["parts_right"], 512);
    EXPECT_EQ(only_event(playground, "HiddenProof")["not_zero"], 0);
    EXPECT_EQ(only_event(playground, "InterruptProof")["clock_ticked"], 1);
}

class IdentityOn : public testing::TestWithParam<std::tuple<std::size_t, const char*>> {};

TEST_P(IdentityOn, Passes) {
    const auto [index, memory] = GetParam();
    Playground playground;
    const Answer answer =
        playground({"run", "ept-identity", "--model", models[index].name, "--memory", memory});
    EXPECT_EQ(answer.status, 0) << answer.errors;
    expect_facts(playground, models[index]);
}

std::string name_of(const testing::TestParamInfo<IdentityOn::ParamType>& info) {
    return std::string{models[std::get<0>(info.param)].name} + "_with_" + std::get<1>(info.param) +
           "_MiB";
}
INSTANTIATE_TEST_SUITE_P(EachModel, IdentityOn,
                         testing::Combine(testing::Range(std::size_t{0}, models.size()),
                                          testing::Values("64", "512", "2048")),
                         name_of);
// Memory above 4 GBytes: the emulator takes seven seconds to make it, so on the oldest model and
// the newest.
INSTANTIATE_TEST_SUITE_P(ModelOfEachKind, IdentityOn,
                         testing::Combine(testing::Values(std::size_t{0}, models.size() - 1),
                                          testing::Values("4096")),
                         name_of);

class IdentityAmong : public testing::TestWithParam<const char*> {};

TEST_P(IdentityAmong, OtherProcessorsPasses) {
    Playground playground;
    const Answer answer = playground({"run", "ept-identity", "--cpus", GetParam(), "--processor",
                                      "0", "--odd-state", "--loads", "2"});
    EXPECT_EQ(answer.status, 0) << answer.errors;
    expect_passed(playground.summary());
}

INSTANTIATE_TEST_SUITE_P(Present, IdentityAmong, testing::Values("2", "4"));

/// How many instructions processor 0 has executed in its guests, by the processor's own log.
std::uint64_t instructions_in_guest(Playground& playground) {
    std::uint64_t sum = 0;
    std::uint64_t entered_at = 0;
    for (const Json& event : playground.all_events()) {
        if (event["from"] == "processor" && event["event"] == "VmEntry") {
            entered_at = event["t"];
        } else if (event["from"] == "processor" && event["event"] == "VmExit") {
            sum += event["t"].get<std::uint64_t>() - entered_at;
        }
    }
    return sum;
}

TEST(Identity, RunsTenMillionInstructionsOfASystemUnderLoad) {
    Playground playground;
    const auto driver = playground.driver("ept-identity-load", "ept-identity-load");
    const Answer answer =
        playground({"run", "--driver", driver, "--cpus", "2", "--processor", "0"});
    EXPECT_EQ(answer.status, 0) << answer.errors;
    expect_passed(playground.summary());
    EXPECT_GE(instructions_in_guest(playground), 10'000'000);
    const Json proof = only_event(playground, "LoadProof");
    EXPECT_GE(proof["ticks"], 50) << proof;
    EXPECT_GE(proof["interrupts"], 100) << proof;
    EXPECT_EQ(proof["interrupts"], proof["sent"]) << proof;
    EXPECT_EQ(proof["wrong_sums"], 0) << proof;
}

TEST(Identity, TellsItsStory) {
    Playground playground;
    const Answer answer = playground({"run", "ept-identity"});
    EXPECT_EQ(answer.status, 0) << answer.errors;
    EXPECT_THAT(answer.output, HasSubstr("read the function's own bytes in 2 of 2 reads"));
    EXPECT_THAT(answer.output, HasSubstr("with one page for both again: a call gave 0xaa"));
}

// [SDM 3C 28.2.6.2 "Memory Type Used for Translated Guest-Physical Addresses"]: the guest's write
// of an MTRR is mirrored in the EPT, and so is its reverse.
TEST(Identity, FollowsTheGuestsMtrrs) {
    Playground playground;
    EXPECT_EQ(playground({"run", "ept-identity"}).status, 0);
    const auto writes = playground.events("MtrrFollowed");
    ASSERT_EQ(writes.size(), 4U);
    const std::array types{"write-back", "write-combining", "write-back", "write-back"};
    for (std::size_t i = 0; i < writes.size(); ++i) {
        EXPECT_EQ(writes[i]["type"], types[i]);
        // 64 KBytes split one page of 1 GByte, and one of 2 MBytes in it.
        EXPECT_EQ(number(writes[i]["tables"]), number(writes[0]["tables"]) + (i == 1 ? 2 : 0));
    }
}

TEST(Identity, IsRefusedWhereTheProcessorHasNoEpt) {
    Playground playground;
    const Answer answer = playground({"run", "ept-identity", "--model", "core2_penryn_t9600"});
    EXPECT_EQ(answer.status, 4);
    EXPECT_THAT(answer.errors, HasSubstr("this processor has VT-x without EPT"));
    EXPECT_EQ(playground.summary()["state_differences"], Json::array());
}

class IdentityWithoutMemory : public testing::TestWithParam<int> {};

// Each allocation fails in turn; everything that was allocated before is freed.
TEST_P(IdentityWithoutMemory, FreesEverything) {
    Playground playground;
    const Answer answer =
        playground({"run", "ept-identity", "--fail-allocation", std::to_string(GetParam())});
    EXPECT_EQ(answer.status, 4) << answer.errors;
    EXPECT_EQ(playground.summary()["status"], "0xc000009a");
    EXPECT_EQ(playground.summary()["memory"]["leaked_bytes"], 0);
}

INSTANTIATE_TEST_SUITE_P(EachAllocation, IdentityWithoutMemory, testing::Range(1, 6));

class SplitPages : public testing::TestWithParam<unsigned> {};

// A thousand turns of each kind in each guest. The number of VM exits follows from this: a view is
// left when, and only when, the next access is of another kind. Violations per turn:
// - "turns" (read, call, write, read): 2;
// - "reads", an instruction that reads its own page: 1 for it, 1 for the fetch after it;
// - "writes", with a read of what was written and a call after it: 4;
// - "crossings", an instruction on two pages: as "reads";
// - "spans", an operand on both pages, with a call before: 2.
// Each step ends with one debug exception. The first call of a kind after a write or a read needs a
// violation more, the last of it one less.
TEST_P(SplitPages, AreRightAThousandTimes) {
    Playground playground;
    const auto driver =
        playground.driver("ept-views", is_long() ? "ept-views-many-turns" : "ept-views-turns");
    const Answer answer = playground({"run", "--driver", driver, "--cpus",
                                      std::to_string(GetParam()), "--timeout-ticks", "1000000000"});
    EXPECT_EQ(answer.status, 0) << answer.errors;
    expect_passed(playground.summary(), "driver silent");
    const unsigned turns = is_long() ? 1000 : 1000 / GetParam();
    const unsigned violations =
        turns * 2 + (turns * 2 + 1) + (turns * 4 - 1) + (turns * 2 + 1) + (turns * 2 - 1);
    const auto proofs = playground.events("ViewsProof");
    ASSERT_EQ(proofs.size(), GetParam());
    for (unsigned i = 0; i < GetParam(); ++i) {
        for (const char* const kind : {"turns", "reads", "writes", "crossings", "spans"}) {
            EXPECT_EQ(proofs[i][kind], turns) << kind << " of processor " << i;
        }
        EXPECT_EQ(proofs[i]["steps"], 3 * turns);
        EXPECT_EQ(proofs[i]["during_delivery"], 0);
        EXPECT_EQ(
            playground.summary()["exits"][std::to_string(i)],
            (Json{{"EPT Violation", violations}, {"Exception or NMI", 3 * turns}, {"VMCALL", 2}}));
    }
}

INSTANTIATE_TEST_SUITE_P(OnProcessors, SplitPages, testing::Values(1U, 4U));

// An interrupt whose delivery could not write to the stack is delivered again once the stack can be
// written: the clock that the guest waits for goes on.
TEST(EventDelivery, LosesNoInterruptToAViolation) {
    Playground playground;
    const auto driver = playground.driver("ept-views", "ept-views-delivery");
    const Answer answer = playground({"run", "--driver", driver, "--timeout-ticks", "100000000"});
    EXPECT_EQ(answer.status, 0) << answer.errors;
    expect_passed(playground.summary(), "driver silent");
    const Json proof = only_event(playground, "ViewsProof");
    EXPECT_EQ(proof["ticks"], 20);
    EXPECT_EQ(proof["during_delivery"], 20);
}

TEST(Hiding, LeavesNothingForAScanOfAllMemory) {
    Playground playground;
    const auto driver = playground.driver("ept-views", "ept-views-scan");
    const Answer answer =
        playground({"run", "--driver", driver, "--memory", "64", "--timeout-ticks", "600000000"});
    EXPECT_EQ(answer.status, 0) << answer.errors;
    expect_passed(playground.summary(), "driver silent");
    const Json proof = only_event(playground, "ScanProof");
    EXPECT_EQ(proof["words"], (64 << 20) / 8);
    EXPECT_EQ(proof["secrets"], 512) << "they are there";
    EXPECT_EQ(proof["secrets_found"], 0);
    EXPECT_EQ(proof["entries_found"], 0) << "entries of the EPT's own tables";
}

}  // namespace
}  // namespace hvp::tests
