// More than one processor: all run, threads move between them, and each is examined.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/lab/playground.hpp"

namespace hvp::tests {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

class Processors : public testing::TestWithParam<unsigned> {};

TEST_P(Processors, AllStartAndThreadsMoveAsOnWindows) {
    Playground playground;
    const Answer answer =
        playground({"run", "--driver", playground.driver("processors", "processors"), "--cpus",
                    std::to_string(GetParam())});
    EXPECT_EQ(answer.status, 0) << answer.errors;
    EXPECT_THAT(playground.events("Wrong"), IsEmpty());
    EXPECT_EQ(playground.events("LabStarted").at(0)["started"], GetParam());
    EXPECT_EQ(playground.events("Processors").at(0)["count"], GetParam());
    const auto visits = playground.events("Here");
    ASSERT_EQ(visits.size(), GetParam());
    for (const Json& visit : visits) {
        EXPECT_EQ(visit["cpu"], visit["index"]);
    }
}

INSTANTIATE_TEST_SUITE_P(Count, Processors, testing::Values(1U, 2U, 3U, 4U, 8U));

struct Machine {
    const char* model;
    unsigned processors;
};

std::ostream& operator<<(std::ostream& stream, const Machine& machine) {
    return stream << machine.processors << " of " << machine.model;
}

class LaunchOnProcessor : public testing::TestWithParam<Machine> {};

// Three loads, from odd states that differ between processors.
TEST_P(LaunchOnProcessor, PassesOnEachInTurn) {
    const auto [model, processors] = GetParam();
    for (unsigned number = 0; number < processors; ++number) {
        Playground playground;
        const std::string where = std::to_string(number);
        const Answer answer =
            playground({"run", "--model", model, "--cpus", std::to_string(processors),
                        "--processor", where, "--loads", "3", "--odd-state"});
        EXPECT_EQ(answer.status, 0) << answer.errors;
        const Json summary = playground.summary();
        EXPECT_EQ(summary["witnesses"], "agree");
        EXPECT_EQ(summary["exits"], (Json{{where, {{"HLT", 3}}}}));
        EXPECT_EQ(summary["state_differences"], Json::array());
        for (const Json& entry : playground.events("DriverEntry")) {
            EXPECT_EQ(entry["cpu"], number);
        }
    }
}

INSTANTIATE_TEST_SUITE_P(
    EachModel, LaunchOnProcessor,
    testing::Values(Machine{"corei7_skylake_x", 1}, Machine{"corei7_skylake_x", 2},
                    Machine{"corei7_skylake_x", 4}, Machine{"corei7_skylake_x", 8},
                    Machine{"corei7_icelake_u", 1}, Machine{"corei7_icelake_u", 2},
                    Machine{"corei7_icelake_u", 4}, Machine{"corei7_icelake_u", 8}),
    [](const auto& instance) {
        return fmt::format("{}_on_{}", instance.param.model, instance.param.processors);
    });

TEST(LaunchOnProcessors, TheSameRunGivesTheSameBytes) {
    Playground first;
    Playground second;
    EXPECT_EQ(first({"run", "--cpus", "4"}).status, 0);
    EXPECT_EQ(second({"run", "--cpus", "4"}).status, 0);
    EXPECT_NE(first.file("events.jsonl"), "");
    EXPECT_EQ(first.file("events.jsonl"), second.file("events.jsonl"));
    EXPECT_EQ(first.file("processor.log"), second.file("processor.log"));
}

TEST(LaunchOnProcessors, TheSeedChoosesWhereItStarts) {
    std::vector<bool> seen(4);
    for (unsigned seed = 0; seed < 12; ++seed) {
        Playground playground;
        EXPECT_EQ(playground({"run", "--cpus", "4", "--seed", std::to_string(seed)}).status, 0);
        seen.at(playground.events("DriverEntry").at(0)["cpu"].get<std::size_t>()) = true;
    }
    EXPECT_THAT(seen, testing::Each(true));
}

// Each processor has an IA32_FEATURE_CONTROL of its own.
TEST(LaunchOnProcessors, FirmwareHasBeenOnEach) {
    Playground forbidden;
    EXPECT_EQ(forbidden({"run", "--cpus", "4", "--processor", "3", "--firmware-vmx", "locked-off"})
                  .status,
              4);
    Playground open;
    EXPECT_EQ(open({"run", "--cpus", "4", "--processor", "3", "--firmware-vmx", "unlocked"}).status,
              0);
    const auto changes = open.events("ExpectedChange");
    ASSERT_EQ(changes.size(), 1U);
    EXPECT_EQ(changes[0]["cpu"], 3);
    EXPECT_EQ(changes[0]["item"], "FEATURE_CONTROL");
}

struct Change {
    const char* name;
    const char* item;
};

std::ostream& operator<<(std::ostream& stream, const Change& change) {
    return stream << change.name;
}

class LeftChangedElsewhere : public testing::TestWithParam<Change> {};

// The driver returns on processor 0; what it has changed is on the last one.
TEST_P(LeftChangedElsewhere, IsTheOneDifference) {
    Playground playground;
    const auto driver =
        playground.driver("perturb", fmt::format("perturb-last-{}", GetParam().name));
    const Answer answer = playground({"run", "--driver", driver, "--cpus", "4", "--odd-state"});
    EXPECT_EQ(answer.status, 1);
    EXPECT_EQ(answer.error_lines(), 1U) << answer.errors;
    EXPECT_THAT(answer.errors,
                HasSubstr(fmt::format("processor 3 was left changed: {} was", GetParam().item)));
    const auto differences = playground.events("StateDifference");
    ASSERT_EQ(differences.size(), 1U);
    EXPECT_EQ(differences[0]["cpu"], 3);
    EXPECT_EQ(differences[0]["item"], GetParam().item);
    EXPECT_EQ(playground.events("DriverUnloadReturned").size(), 1U);
}

INSTANTIATE_TEST_SUITE_P(
    EveryKind, LeftChangedElsewhere,
    testing::Values(Change{"vmx-operation", "VMX operation"}, Change{"cr0", "CR0"},
                    Change{"cr3", "CR3"}, Change{"cr4", "CR4"}, Change{"cr4-vmxe", "CR4"},
                    Change{"dr0", "DR0"}, Change{"dr1", "DR1"}, Change{"dr2", "DR2"},
                    Change{"dr3", "DR3"}, Change{"dr7", "DR7"}, Change{"gdtr-base", "GDTR base"},
                    Change{"gdtr-limit", "GDTR limit"}, Change{"idtr-base", "IDTR base"},
                    Change{"idtr-limit", "IDTR limit"}, Change{"gdt", "GDT 0x38"},
                    Change{"idt", "IDT 0xf0"}, Change{"ldtr", "LDTR"}, Change{"tr", "TR"},
                    Change{"ds", "DS"}, Change{"es", "ES"}, Change{"fs", "FS"}, Change{"gs", "GS"},
                    Change{"fs-base", "FS base"}, Change{"gs-base", "GS base"},
                    Change{"kernel-gs-base", "KERNEL_GS_BASE"}, Change{"xcr0", "XCR0"},
                    Change{"efer", "EFER"}, Change{"pat", "PAT"},
                    Change{"sysenter-cs", "SYSENTER_CS"}, Change{"sysenter-esp", "SYSENTER_ESP"},
                    Change{"sysenter-eip", "SYSENTER_EIP"}, Change{"star", "STAR"},
                    Change{"lstar", "LSTAR"}, Change{"cstar", "CSTAR"}, Change{"fmask", "FMASK"},
                    Change{"tsc-aux", "TSC_AUX"}, Change{"debugctl", "DEBUGCTL"},
                    Change{"misc-enable", "MISC_ENABLE"}, Change{"mtrr", "MTRR 0x202"},
                    Change{"mtrr-default", "MTRR 0x2ff"}),
    [](const auto& instance) {
        std::string name = instance.param.name;
        std::ranges::replace(name, '-', '_');
        return name;
    });

}  // namespace
}  // namespace hvp::tests
