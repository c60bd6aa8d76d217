// The lab's examiner: whatever a driver leaves changed or does wrong is reported in one clear line.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/lab/playground.hpp"

namespace hvp::tests {
namespace {

using testing::HasSubstr;

struct Change {
    const char* name;  ///< the driver is tests/drivers/perturb.cpp under the name perturb-…
    const char* item;  ///< what the lab must report as changed, and nothing else
    const char* model{"corei7_skylake_x"};
};

std::ostream& operator<<(std::ostream& stream, const Change& change) {
    return stream << change.name;
}

class LeftChanged : public testing::TestWithParam<Change> {};

TEST_P(LeftChanged, IsTheOneDifference) {
    Playground playground;
    const auto driver = playground.driver("perturb", fmt::format("perturb-{}", GetParam().name));
    const Answer answer = playground({"run", "--driver", driver, "--model", GetParam().model});
    EXPECT_EQ(answer.status, 1);
    EXPECT_EQ(answer.error_lines(), 1U) << answer.errors;
    EXPECT_THAT(answer.errors, HasSubstr(fmt::format("was left changed: {} was", GetParam().item)));
    const Json differences = playground.summary()["state_differences"];
    ASSERT_EQ(differences.size(), 1U) << differences;
    EXPECT_EQ(differences[0]["item"], GetParam().item);
    EXPECT_NE(differences[0]["before"], differences[0]["after"]);
    EXPECT_EQ(playground.summary()["result"], "failed");
}

INSTANTIATE_TEST_SUITE_P(
    EveryItem, LeftChanged,
    testing::Values(Change{"vmx-operation", "VMX operation"}, Change{"cr0", "CR0"},
                    Change{"cr3", "CR3"}, Change{"cr4", "CR4"}, Change{"cr4-vmxe", "CR4"},
                    Change{"cr8", "CR8"}, Change{"dr0", "DR0"}, Change{"dr1", "DR1"},
                    Change{"dr2", "DR2"}, Change{"dr3", "DR3"}, Change{"dr7", "DR7"},
                    Change{"rflags-if", "RFLAGS"}, Change{"rflags-df", "RFLAGS"},
                    Change{"rflags-iopl", "RFLAGS"}, Change{"rflags-nt", "RFLAGS"},
                    Change{"rflags-ac", "RFLAGS"}, Change{"gdtr-base", "GDTR base"},
                    Change{"gdtr-limit", "GDTR limit"}, Change{"idtr-base", "IDTR base"},
                    Change{"idtr-limit", "IDTR limit"}, Change{"gdt", "GDT 0x38"},
                    Change{"idt", "IDT 0xf0"}, Change{"ldtr", "LDTR"}, Change{"tr", "TR"},
                    Change{"cs", "CS"}, Change{"ss", "SS"}, Change{"ds", "DS"}, Change{"es", "ES"},
                    Change{"fs", "FS"}, Change{"gs", "GS"}, Change{"fs-base", "FS base"},
                    Change{"gs-base", "GS base"}, Change{"kernel-gs-base", "KERNEL_GS_BASE"},
                    Change{"mxcsr", "MXCSR"}, Change{"xcr0", "XCR0"}, Change{"efer", "EFER"},
                    Change{"xss", "XSS", "tigerlake"}, Change{"u-cet", "U_CET", "tigerlake"},
                    Change{"s-cet", "S_CET", "tigerlake"}, Change{"in-service", "APIC ISR 63:32"},
                    Change{"pat", "PAT"}, Change{"sysenter-cs", "SYSENTER_CS"},
                    Change{"sysenter-esp", "SYSENTER_ESP"}, Change{"sysenter-eip", "SYSENTER_EIP"},
                    Change{"star", "STAR"}, Change{"lstar", "LSTAR"}, Change{"cstar", "CSTAR"},
                    Change{"fmask", "FMASK"}, Change{"tsc-aux", "TSC_AUX"},
                    Change{"debugctl", "DEBUGCTL"}, Change{"misc-enable", "MISC_ENABLE"},
                    Change{"mtrr", "MTRR 0x202"}, Change{"mtrr-default", "MTRR 0x2ff"},
                    Change{"rbx", "RBX"}, Change{"xmm6", "XMM6"}),
    [](const auto& instance) {
        std::string name = instance.param.name;
        std::ranges::replace(name, '-', '_');
        return name;
    });

TEST(LeftChangedToo, FeatureControlIsNoticedWhereItWasOpen) {
    // The driver locks it without VMX, which is not the expected change.
    Playground playground;
    const auto driver = playground.driver("perturb", "perturb-feature-control");
    const Answer answer = playground({"run", "--driver", driver, "--firmware-vmx", "unlocked"});
    EXPECT_EQ(answer.status, 1);
    EXPECT_THAT(answer.errors, HasSubstr("FEATURE_CONTROL"));
}

struct Deed {
    const char* name;  ///< the driver is tests/drivers/misbehave.cpp under the name misbehave-…
    int status;
    const char* result;
    std::vector<const char*> words;  ///< what the one line must say
};

std::ostream& operator<<(std::ostream& stream, const Deed& deed) {
    return stream << deed.name;
}

class Misbehaviour : public testing::TestWithParam<std::tuple<Deed, unsigned>> {};

TEST_P(Misbehaviour, IsReportedInOneLine) {
    const auto& [deed, processors] = GetParam();
    Playground playground;
    const auto driver = playground.driver("misbehave", fmt::format("misbehave-{}", deed.name));
    // Of several, one in the middle.
    const Answer answer =
        playground({"run", "--driver", driver, "--cpus", std::to_string(processors), "--processor",
                    std::to_string(processors / 2)});
    EXPECT_EQ(answer.status, deed.status);
    EXPECT_EQ(answer.error_lines(), 1U) << answer.errors;
    for (const char* word : deed.words) {
        EXPECT_THAT(answer.errors, HasSubstr(word));
    }
    EXPECT_EQ(playground.summary()["result"], deed.result);
    EXPECT_EQ(playground.summary()["witnesses"], "driver silent");
}

// Addresses carry the function and line of the driver, from its PDB.
const auto deeds = testing::Values(
    Deed{"leak-pool", 1, "failed", {"leaked 100 bytes of pool memory", "tag 'Test'"}},
    Deed{"leak-contiguous", 1, "failed", {"leaked 4 096 bytes of contiguous memory"}},
    Deed{"irql-at-return", 1, "failed", {"CR8 was 0x0, is 0x2"}},
    Deed{"double-free", 1, "bugcheck", {"BAD_POOL_CALLER", "freed before", "free_twice"}},
    Deed{"wrong-tag", 1, "bugcheck", {"BAD_POOL_CALLER", "free_with_wrong_tag"}},
    Deed{"foreign-free", 1, "bugcheck", {"BAD_POOL_CALLER", "MmFreeContiguousMemory"}},
    Deed{"foreign-free-contiguous", 1, "bugcheck", {"BAD_POOL_CALLER"}},
    Deed{"overrun", 1, "bugcheck", {"SPECIAL_POOL", "written outside"}},
    Deed{"underrun", 1, "bugcheck", {"SPECIAL_POOL", "written outside"}},
    Deed{"overrun-page", 1, "bugcheck", {"BEYOND_END_OF_ALLOCATION", "misbehave_memory.cpp:"}},
    Deed{"use-after-free", 1, "bugcheck", {"FREED_SPECIAL_POOL", "read_freed_block"}},
    Deed{"page-fault", 1, "bugcheck", {"PAGE_FAULT_IN_NONPAGED_AREA", "read_nowhere"}},
    Deed{"null-pointer", 1, "bugcheck", {"SYSTEM_THREAD_EXCEPTION", "read_null"}},
    Deed{"page-fault-at-dispatch", 1, "bugcheck", {"DRIVER_IRQL_NOT_LESS_OR_EQUAL"}},
    Deed{"non-canonical", 1, "bugcheck", {"read_non_canonical"}},
    Deed{"divide-error", 1, "bugcheck", {"divide_by_zero"}},
    Deed{"invalid-opcode", 1, "bugcheck", {"execute_nothing"}},
    Deed{"stack-overflow", 1, "bugcheck", {"stack", "overflowed", "recurse"}},
    Deed{"irql-too-high", 1, "failed", {"ExAllocatePool2", "IRQL 3"}},
    Deed{"execute-data", 1, "bugcheck", {"ATTEMPTED_EXECUTE_OF_NOEXECUTE_MEMORY"}},
    Deed{"write-code", 1, "bugcheck", {"ATTEMPTED_WRITE_TO_READONLY_MEMORY", "write_code"}},
    Deed{"fastfail", 1, "bugcheck", {"KERNEL_SECURITY_CHECK_FAILURE", "fail_fast"}},
    Deed{"bugcheck", 1, "bugcheck", {"0xdeadbeef", "crash"}},
    Deed{"other-stack", 1, "failed", {"KeQueryActiveProcessors", "on no stack of the kernel's"}},
    Deed{"fault-on-other-stack", 1, "bugcheck", {"EXCEPTION_ON_INVALID_STACK"}},
    Deed{"affinity", 1, "failed", {"bound to processors"}},
    Deed{"refuse", 4, "refused", {"refused to start with STATUS_NOT_SUPPORTED"}},
    Deed{"refuse-and-leak", 1, "failed", {"leaked 100 bytes"}});

INSTANTIATE_TEST_SUITE_P(EveryDeed, Misbehaviour, testing::Combine(deeds, testing::Values(1U, 4U)),
                         [](const auto& instance) {
                             std::string name =
                                 fmt::format("{}_on_{}", std::get<0>(instance.param).name,
                                             std::get<1>(instance.param));
                             std::ranges::replace(name, '-', '_');
                             return name;
                         });

// On one processor the thread cannot move.
TEST(MisbehaviourUnpinned, IsCaughtInTheActWhereThereAreOthers) {
    Playground playground;
    const auto driver = playground.driver("misbehave", "misbehave-unpinned");
    EXPECT_EQ(playground({"run", "--driver", driver}).status, 0);
    const Answer answer = playground({"run", "--driver", driver, "--cpus", "4"});
    EXPECT_EQ(answer.status, 1);
    EXPECT_EQ(answer.error_lines(), 1U) << answer.errors;
    EXPECT_THAT(answer.errors, HasSubstr("SYSTEM_THREAD_EXCEPTION"));
    EXPECT_THAT(answer.errors, HasSubstr("vmxoff"));
    EXPECT_EQ(playground.summary()["result"], "bugcheck");
}

TEST(MisbehaviourTogether, ABarrierThatOneProcessorSkipsIsReportedAndOpened) {
    Playground playground;
    const auto driver = playground.driver("misbehave", "misbehave-skip-synchronize");
    const Answer answer = playground({"run", "--driver", driver, "--cpus", "4"});
    EXPECT_EQ(answer.status, 1);
    EXPECT_EQ(answer.error_lines(), 1U) << answer.errors;
    EXPECT_THAT(answer.errors, HasSubstr("KeSignalCallDpcSynchronize would wait for ever"));
    const auto findings = playground.events("Finding");
    ASSERT_EQ(findings.size(), 1U);
    EXPECT_EQ(findings[0]["rule"], "DpcNotSynchronized");
    EXPECT_EQ(playground.summary()["result"], "failed");
}

// The thread that reads the block has moved to another processor after the block was freed.
TEST(MisbehaviourElsewhere, FreedMemoryIsInvalidatedInEveryTlb) {
    Playground playground;
    const auto driver = playground.driver("misbehave", "misbehave-use-after-free-elsewhere");
    const Answer answer =
        playground({"run", "--driver", driver, "--cpus", "4", "--processor", "2"});
    EXPECT_EQ(answer.status, 1);
    EXPECT_THAT(answer.errors, HasSubstr("FREED_SPECIAL_POOL"));
}

TEST(ForeignDriver, WithoutUnloadStaysAndPasses) {
    Playground playground;
    const auto driver = playground.driver("misbehave", "misbehave-no-unload");
    const Answer answer = playground({"run", "--driver", driver});
    EXPECT_EQ(answer.status, 0) << answer.errors;
    EXPECT_THAT(answer.output, HasSubstr("no DriverUnload: the driver stays loaded"));
}

TEST(ForeignDriver, PrintsAsWindowsFormats) {
    Playground playground;
    const auto driver = playground.driver("misbehave", "misbehave-print");
    EXPECT_EQ(playground({"run", "--driver", driver}).status, 0);
    const auto printed = playground.events("Printed");
    ASSERT_EQ(printed.size(), 1U);
    EXPECT_EQ(printed[0]["decimal"], "-1");
    EXPECT_EQ(printed[0]["unsigned"], 4'000'000'000U);
    EXPECT_EQ(printed[0]["hex"], "0x2b");
    EXPECT_EQ(printed[0]["upper"], "0000BEEF");
}

}  // namespace
}  // namespace hvp::tests
