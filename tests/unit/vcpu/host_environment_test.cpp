// The VMM's own tables, and the way from them back to Windows'.
#include "hypervisor/vcpu/host_environment.hpp"

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "tests/unit/arch/windows_processor.hpp"
#include "tests/unit/vcpu/fake_entry.hpp"

namespace hvp::vmx {
namespace {

using arch::processor;

class HostEnvironmentTest : public WindowsProcessor {
protected:
    static std::uint64_t handler_of(const arch::InterruptGate& gate) {
        return std::uint64_t{gate.offset_63_32} << 32 | std::uint64_t{gate.offset_31_16} << 16 |
               std::uint64_t{gate.offset_15_0};
    }
    /// Windows' GDT becomes one with this many entries.
    void give_windows(std::vector<std::uint64_t>& table, std::size_t slots) const {
        table.assign(gdt.begin(), gdt.end());
        table.resize(slots);
        processor.gdtr = {.limit_bytes = static_cast<std::uint16_t>(slots * 8 - 1),
                          .base = reinterpret_cast<std::uint64_t>(table.data())};
    }
    /// As the processor is behind a VM exit that has loaded our tables.
    /// [SDM 3C 27.5.2 "Loading Host Segment and Descriptor-Table Registers"]
    void vm_exit() const {
        processor.gdtr = {.limit_bytes = 0xFFFF,
                          .base = reinterpret_cast<std::uint64_t>(tables->gdt.data())};
        processor.idtr = {.limit_bytes = 0xFFFF,
                          .base = reinterpret_cast<std::uint64_t>(tables->idt.data())};
        for (const char* name : {"DS", "ES", "FS", "GS", "LDTR"}) {
            processor.registers[name] = 0;
        }
        processor.registers["TR"] = sizeof gdt;
        processor.registers["DR7"] = 0x400;
        processor.msrs[arch::Msr::debugctl] = 0;
    }

    std::unique_ptr<HostTables> tables = std::make_unique<HostTables>();
    std::unique_ptr<HostStacks> stacks = std::make_unique<HostStacks>();
};

// [SDM 3A 7.2.3 "TSS Descriptor in 64-bit mode"]: LTR fails for a busy TSS. In the copy Windows'
// own is available, for the way back; the original keeps it busy.
TEST_F(HostEnvironmentTest, HasWindowsDescriptorsAndItsTaskAvailable) {
    const auto before = gdt;
    ASSERT_TRUE(fill(*tables, *stacks, arch::ProcessorState::capture()));
    auto expected = gdt;
    expected[task_slot] &= ~arch::task_busy;
    EXPECT_TRUE(std::ranges::equal(expected, std::span{tables->gdt}.first(gdt.size())));
    EXPECT_EQ(gdt, before) << "Windows' GDT is never written";
}

// [SDM 3C 26.2.3 "Checks on Host Segment and Descriptor-Table Registers"]: RPL and TI are 0, and
// neither CS nor TR is null.
TEST_F(HostEnvironmentTest, HasItsOwnTaskBehindThem) {
    processor.registers["SS"] = 0x1B;
    const auto selectors = fill(*tables, *stacks, arch::ProcessorState::capture());
    ASSERT_TRUE(selectors);
    EXPECT_EQ(raw(selectors->code), 0x10);
    EXPECT_EQ(raw(selectors->data), 0x18);
    EXPECT_EQ(raw(selectors->task), sizeof gdt);
    const auto task = arch::look_up(tables->gdt, selectors->task);
    ASSERT_TRUE(task);
    EXPECT_EQ(task->base, reinterpret_cast<std::uint64_t>(&tables->task));
    EXPECT_EQ(task->limit, arch::SegmentLimit{0x67});
}

// [SDM 3A 7.7 "Task Management in 64-bit Mode"]: IST1 begins behind a reserved quadword; a map of
// I/O ports at or beyond the limit is none.
TEST_F(HostEnvironmentTest, ItsTaskKnowsTheTrapStacks) {
    ASSERT_TRUE(fill(*tables, *stacks, arch::ProcessorState::capture()));
    const std::array<std::uint64_t, 8> stacks_in_task = tables->task.interrupt_stacks;
    EXPECT_EQ(stacks_in_task[1], stacks->exception.top());
    EXPECT_EQ(stacks_in_task[2], stacks->machine_check.top());
    EXPECT_EQ(stacks_in_task[3], stacks->nmi.top());
    EXPECT_EQ(std::uint32_t{tables->task.io_map_base}, 0x68U);
}

// The processor pushes downwards from the top: what the owner and the function are stays.
TEST_F(HostEnvironmentTest, TrapStacksEndBelowWhatTheTrapNeedsToKnow) {
    EXPECT_EQ(stacks->nmi.top(), reinterpret_cast<std::uint64_t>(&stacks->nmi.on_trap));
    // [SDM 3A 6.14.2 "64-Bit Mode Stack Frame"]: the processor would align it by itself, and what
    // it pushes would not end at the top.
    EXPECT_EQ(stacks->nmi.top() % 16, 0U);
}

TEST_F(HostEnvironmentTest, EveryVectorOfTheProcessorHasItsStub) {
    ASSERT_TRUE(fill(*tables, *stacks, arch::ProcessorState::capture()));
    const auto first = reinterpret_cast<std::uint64_t>(&hvp_host_trap_stubs);
    for (std::size_t vector = 0; vector < stub_count; ++vector) {
        const arch::InterruptGate& gate = tables->idt[vector];
        EXPECT_EQ(handler_of(gate), first + stub_bytes * vector) << vector;
        EXPECT_EQ(gate.present, 1U) << vector;
        EXPECT_EQ(gate.type, 14U) << "an interrupt gate, so that IF is 0: vector " << vector;
        EXPECT_EQ(gate.selector, 0x10U) << vector;
        EXPECT_EQ(gate.privilege_level, 0U) << vector;
    }
    // Maskable interrupts are off in the VMM, so these cannot come.
    EXPECT_TRUE(std::ranges::all_of(std::span{tables->idt}.subspan(stub_count),
                                    [](const auto& gate) { return gate.present == 0; }));
}

// An NMI or a machine check inside an exception must not overwrite its frame.
TEST_F(HostEnvironmentTest, NmiAndMachineCheckHaveStacksOfTheirOwn) {
    ASSERT_TRUE(fill(*tables, *stacks, arch::ProcessorState::capture()));
    for (std::size_t vector = 0; vector < stub_count; ++vector) {
        const std::uint64_t expected = vector == 2 ? 3U : vector == 18 ? 2U : 1U;
        EXPECT_EQ(tables->idt[vector].interrupt_stack, expected) << vector;
    }
}

TEST_F(HostEnvironmentTest, TakesTheLargestGdtThatLeavesRoomForItsTask) {
    std::vector<std::uint64_t> table;
    give_windows(table, HostTables::gdt_slots - 2);
    const auto selectors = fill(*tables, *stacks, arch::ProcessorState::capture());
    ASSERT_TRUE(selectors);
    EXPECT_EQ(raw(selectors->task), (HostTables::gdt_slots - 2) * 8);
}

// VM entry refuses a host without a TSS, and would not say that the GDT is the reason.
TEST_F(HostEnvironmentTest, RefusesAGdtThatIsTooLarge) {
    std::vector<std::uint64_t> table;
    give_windows(table, HostTables::gdt_slots - 1);
    const auto selectors = fill(*tables, *stacks, arch::ProcessorState::capture());
    ASSERT_FALSE(selectors);
    EXPECT_EQ(selectors.error().kind, FailureKind::unexpected);
    EXPECT_EQ(selectors.error().number, HostTables::gdt_slots - 1);
    EXPECT_STREQ(selectors.error().why->step, "host GDT");
}

TEST_F(HostEnvironmentTest, RefusesATaskThatIsNotInTheGdt) {
    processor.registers["TR"] = sizeof gdt;
    EXPECT_FALSE(fill(*tables, *stacks, arch::ProcessorState::capture()));
}

// Selectors and TR need a GDT in which Windows' TSS is available: ours, with a limit that is right.
// Windows' handlers need its selectors and GS, so its IDT comes behind them.
TEST_F(HostEnvironmentTest, IsLeftInAnOrderInWhichAnNmiFindsWhatItNeeds) {
    const auto windows = arch::ProcessorState::capture();
    const auto registers = processor.registers;
    const auto msrs = processor.msrs;
    ASSERT_TRUE(fill(*tables, *stacks, windows));
    vm_exit();
    restore_after_own_tables(*tables, windows);
    const auto msr = [](arch::Msr which) {
        return "MSR " + std::to_string(static_cast<std::uint32_t>(which));
    };
    EXPECT_EQ(processor.written, (std::vector<std::string>{
                                     "GDTR", "CS", "SS", "DS", "ES", "FS", msr(arch::Msr::fs_base),
                                     "GS", msr(arch::Msr::gs_base), "LDTR", "IDTR", "TR", "GDTR",
                                     "DR7", msr(arch::Msr::debugctl)}));
    EXPECT_NE(tables->gdt[task_slot] & arch::task_busy, 0U) << "TR came from our copy";
    EXPECT_EQ(processor.registers, registers);
    EXPECT_EQ(processor.msrs, msrs);
    EXPECT_EQ(std::uint64_t{processor.gdtr.base}, std::uint64_t{windows.gdtr.base});
    EXPECT_EQ(std::uint64_t{processor.gdtr.limit_bytes}, sizeof gdt - 1);
    EXPECT_EQ(std::uint64_t{processor.idtr.base}, std::uint64_t{windows.idtr.base});
    EXPECT_EQ(std::uint64_t{processor.idtr.limit_bytes}, 0xFFFU);
}

}  // namespace
}  // namespace hvp::vmx
