// What a VM exit changes is put back, and in an order in which nothing faults.
#include "hypervisor/arch/processor_state.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <ranges>

namespace hvp::arch {
namespace {

constexpr std::array<std::uint64_t, 4> table{0, 0, 0x0020'9B00'0000'0000, 0x0040'9300'0000'0000};

/// Each register has a value of its own, so that no two can be mixed up.
class ProcessorStateTest : public testing::Test {
protected:
    ProcessorStateTest() {
        processor = {};
        processor.registers = {{"CR0", 0x8005'0033}, {"CR3", 0x1AD000}, {"CR4", 0x37'06F8},
                               {"DR7", 0x455},       {"RFLAGS", 0x246}, {"CS", 0x10},
                               {"SS", 0x18},         {"DS", 0x2B},      {"ES", 0x23},
                               {"FS", 0x53},         {"GS", 0x2B},      {"LDTR", 0x38},
                               {"TR", 0x40}};
        processor.msrs = {{Msr::debugctl, 2},          {Msr::sysenter_cs, 0x11},
                          {Msr::sysenter_esp, 0x222},  {Msr::sysenter_eip, 0x333},
                          {Msr::fs_base, 0x7FFD'0000}, {Msr::gs_base, 0xFFFF'F803'0000'0000}};
        processor.gdtr = {.limit_bytes = sizeof table - 1,
                          .base = reinterpret_cast<std::uint64_t>(table.data())};
        processor.idtr = {.limit_bytes = 0xFFF, .base = 0xFFFF'F803'0000'1000};
        before = processor;
    }
    /// As the processor is behind a VM exit.  [SDM 3C 27.5 "Loading Host State"]
    static void vm_exit() {
        processor.gdtr.limit_bytes = 0xFFFF;
        processor.idtr.limit_bytes = 0xFFFF;
        for (const char* name : {"SS", "DS", "ES", "FS", "GS"}) {
            processor.registers[name] &= ~std::uint64_t{7};
        }
        processor.registers["LDTR"] = 0;
        processor.registers["DR7"] = 0x400;
        processor.msrs[Msr::debugctl] = 0;
        processor.in_vmx_operation = true;
        processor.registers["CR4"] |= 0x2000;
        processor.registers["CR0"] |= 0x20;
    }
    static void vmxoff() { processor.in_vmx_operation = false; }

    /// The place of the first write of `name`.
    static std::ptrdiff_t place_of(const std::string& name) {
        const auto found = std::ranges::find(processor.written, name);
        EXPECT_NE(found, processor.written.end()) << name;
        return found - processor.written.begin();
    }
    void expect_as_before() const {
        EXPECT_EQ(processor.registers, before.registers);
        EXPECT_EQ(processor.msrs, before.msrs);
        EXPECT_EQ(std::uint64_t{processor.gdtr.limit_bytes}, before.gdtr.limit_bytes);
        EXPECT_EQ(std::uint64_t{processor.idtr.limit_bytes}, before.idtr.limit_bytes);
    }

    FakeProcessor before;
};

TEST_F(ProcessorStateTest, IsCapturedWhole) {
    const ProcessorState state = ProcessorState::capture();
    EXPECT_EQ(state.cr0.raw(), 0x8005'0033U);
    EXPECT_EQ(state.cr3, 0x1AD000U);
    EXPECT_EQ(state.cr4.raw(), 0x37'06F8U);
    EXPECT_EQ(state.dr7, 0x455U);
    EXPECT_EQ(state.debugctl, 2U);
    EXPECT_EQ(state.sysenter_cs, 0x11U);
    EXPECT_EQ(state.sysenter_esp, 0x222U);
    EXPECT_EQ(state.sysenter_eip, 0x333U);
    EXPECT_EQ(raw(state.cs), 0x10);
    EXPECT_EQ(raw(state.ss), 0x18);
    EXPECT_EQ(raw(state.ds), 0x2B);
    EXPECT_EQ(raw(state.es), 0x23);
    EXPECT_EQ(raw(state.fs), 0x53);
    EXPECT_EQ(raw(state.gs), 0x2B);
    EXPECT_EQ(raw(state.ldtr), 0x38);
    EXPECT_EQ(raw(state.tr), 0x40);
    EXPECT_EQ(state.fs_base, 0x7FFD'0000U);
    EXPECT_EQ(state.gs_base, 0xFFFF'F803'0000'0000U);
    EXPECT_EQ(std::uint64_t{state.idtr.base}, 0xFFFF'F803'0000'1000U);
    EXPECT_TRUE(processor.written.empty());
}

TEST_F(ProcessorStateTest, KnowsItsGdt) {
    EXPECT_TRUE(std::ranges::equal(ProcessorState::capture().gdt(), table));
}

TEST_F(ProcessorStateTest, IsPutBackAfterAVmExit) {
    {
        const ProcessorStateGuard kept;
        EXPECT_EQ(kept.before().dr7, 0x455U);
        vm_exit();
        vmxoff();
    }
    expect_as_before();
}

// A selector beyond the real table must not be loaded while the limit is FFFFh; and loading FS or
// GS replaces the base.
TEST_F(ProcessorStateTest, IsPutBackInTheRightOrder) {
    const ProcessorState state = ProcessorState::capture();
    vm_exit();
    state.restore_after_vm_exit();
    const auto msr = [](Msr which) {
        return "MSR " + std::to_string(static_cast<std::uint32_t>(which));
    };
    for (const char* name : {"CS", "SS", "DS", "ES", "FS", "GS", "LDTR"}) {
        EXPECT_LT(place_of("GDTR"), place_of(name)) << name;
    }
    EXPECT_LT(place_of("FS"), place_of(msr(Msr::fs_base)));
    EXPECT_LT(place_of("GS"), place_of(msr(Msr::gs_base)));
}

// [SDM 3C 23.8 "Restrictions on VMX Operation"]
TEST_F(ProcessorStateTest, KeepsVmxeUntilVmxOperationIsLeft) {
    const ProcessorState state = ProcessorState::capture();
    vm_exit();
    EXPECT_THROW(state.restore_cr0_cr4(), GeneralProtection);
    vmxoff();
    state.restore_cr0_cr4();
    EXPECT_EQ(processor.registers["CR4"], 0x37'06F8U);
    EXPECT_EQ(processor.registers["CR0"], 0x8005'0033U);
}

TEST_F(ProcessorStateTest, InterruptsAreOffOnlyForAWhile) {
    {
        const InterruptsOff off;
        EXPECT_EQ(processor.registers["RFLAGS"], 0x46U);
        {
            const InterruptsOff again;
        }
        EXPECT_EQ(processor.registers["RFLAGS"], 0x46U) << "they were off before";
    }
    EXPECT_EQ(processor.registers["RFLAGS"], 0x246U);
}

}  // namespace
}  // namespace hvp::arch
