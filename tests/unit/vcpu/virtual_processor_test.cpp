// What a virtual processor's memory holds, what the VMM sees of it, and what is owed to Windows.
#include "hypervisor/vcpu/virtual_processor.hpp"

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "hypervisor/exits/dispatch.hpp"
#include "hypervisor/vcpu/host_traps.hpp"
#include "hypervisor/vmx/vmx_operation.hpp"
#include "tests/unit/vcpu/fake_entry.hpp"
#include "tests/unit/vcpu/virtual_processor_memory.hpp"

namespace hvp::vmx {
namespace {

using arch::processor;

class VirtualProcessorTest : public VirtualProcessorMemory {
protected:
    static std::uint32_t revision_of(const arch::Page& page) {
        std::uint32_t revision{};
        std::memcpy(&revision, page.bytes.data(), sizeof revision);
        return revision;
    }
    /// Where the page of `object` leads; null where the VMM sees nothing.
    const arch::PageTableEntry* entry_of(const void* object) const {
        return space.find(arch::linear_address_of(object));
    }
    void expect_data(const void* start, std::size_t bytes, const char* what) const {
        for (std::size_t offset = 0; offset < bytes; offset += arch::page_bytes) {
            const void* const page = static_cast<const std::byte*>(start) + offset;
            const arch::PageTableEntry* const entry = entry_of(page);
            ASSERT_NE(entry, nullptr) << what << " + " << offset;
            EXPECT_EQ(entry->writable, 1U) << what;
            EXPECT_EQ(entry->execute_disable, 1U) << what;
            EXPECT_EQ(entry->frame * arch::page_bytes, region.physical_of(page).raw()) << what;
        }
    }
    /// The guest exits once, and then the VMM leaves it: its tables are in use.
    void guest_exits() const {
        fake_guest = [this](VmmFrame&) {
            seen_running = memory->processor.running;
            processor.gdtr = {.limit_bytes = 0xFFFF,
                              .base = reinterpret_cast<std::uint64_t>(&memory->tables.gdt)};
            processor.registers["FS"] = 0;
            processor.registers["DR7"] = 0x400;
        };
    }

    std::vector<arch::PageTable> tables = std::vector<arch::PageTable>(8);
    arch::AddressSpace space{tables, arch::HostPhysicalAddress{0x80'0000}};
    mutable bool seen_running{};
};

// [SDM 3C 24.11.5 "VMXON Region"], [SDM 3C 24.2 "Format of the VMCS Region"]
TEST_F(VirtualProcessorTest, HasItsRevisionInBothRegions) {
    EXPECT_EQ(revision_of(memory->vmxon), 0x2BU);
    EXPECT_EQ(revision_of(memory->vmcs), 0x2BU);
}

// entry.S calls through these, so a null one would be a jump to 0 in VMX root operation.
TEST_F(VirtualProcessorTest, IsFoundFromItsFrameAndFromEachTrapStack) {
    const VirtualProcessor& mine = memory->processor;
    EXPECT_EQ(memory->frame()->owner, &mine);
    EXPECT_EQ(memory->frame()->on_exit, untraced_exits().on_exit);
    EXPECT_EQ(memory->frame()->on_failed_entry, untraced_exits().on_failed_entry);
    for (const TrapStack* const stack :
         {&memory->stacks.exception, &memory->stacks.machine_check, &memory->stacks.nmi}) {
        EXPECT_EQ(stack->owner, &mine);
        EXPECT_EQ(stack->on_trap, &handle_host_trap);
    }
    EXPECT_EQ(mine.frame, memory->frame());
    EXPECT_EQ(mine.ring, &memory->ring);
    EXPECT_EQ(mine.cr0_ones.raw(), 0x8000'0021U);
    EXPECT_EQ(mine.cr4_ones.raw(), 0x2000U);
    EXPECT_EQ(mine.physical_address_bits, 40U);
}

// The frame is the first thing on the stack, which is aligned as at the start of a function.
TEST_F(VirtualProcessorTest, HasItsFrameAtTheTopOfTheMainStack) {
    const auto frame = reinterpret_cast<std::uint64_t>(memory->frame());
    EXPECT_EQ(frame + sizeof(VmmFrame), reinterpret_cast<std::uint64_t>(&memory->stacks.main + 1));
    EXPECT_EQ(frame % 16, 8U);
}

TEST_F(VirtualProcessorTest, SeesItsStacksAndTablesAsDataThatCannotBeExecuted) {
    ASSERT_TRUE(map(space, region));
    expect_data(&memory->tables, sizeof memory->tables, "tables");
    expect_data(&memory->stacks.exception, sizeof(TrapStack), "exception stack");
    expect_data(&memory->stacks.machine_check, sizeof(TrapStack), "machine-check stack");
    expect_data(&memory->stacks.nmi, sizeof(TrapStack), "NMI stack");
    expect_data(&memory->stacks.main, sizeof memory->stacks.main, "main stack");
    expect_data(&memory->processor, sizeof memory->processor, "processor");
    expect_data(&memory->ring, sizeof memory->ring, "ring");
}

// Each stack grows down into a hole, and an overflow is a page fault instead of somebody's data.
TEST_F(VirtualProcessorTest, HasAHoleBelowEachStack) {
    ASSERT_TRUE(map(space, region));
    const HostStacks& stacks = memory->stacks;
    for (const void* const stack :
         {static_cast<const void*>(&stacks.exception),
          static_cast<const void*>(&stacks.machine_check), static_cast<const void*>(&stacks.nmi),
          static_cast<const void*>(&stacks.main)}) {
        EXPECT_EQ(entry_of(static_cast<const std::byte*>(stack) - 1), nullptr);
    }
}

// [SDM 3C 24.11.1 "Software Use of Virtual-Machine Control Structures"]: no loads and stores there.
TEST_F(VirtualProcessorTest, DoesNotSeeTheRegionsThatAreTheProcessors) {
    ASSERT_TRUE(map(space, region));
    EXPECT_EQ(entry_of(&memory->vmxon), nullptr);
    EXPECT_EQ(entry_of(&memory->vmcs), nullptr);
    EXPECT_EQ(entry_of(&memory->msr_bitmap), nullptr);
}

TEST_F(VirtualProcessorTest, SaysWhenThePageTablesDoNotSuffice) {
    arch::AddressSpace small{std::span{tables}.first(3), arch::HostPhysicalAddress{0x80'0000}};
    const auto mapped = map(small, region);
    ASSERT_FALSE(mapped);
    EXPECT_EQ(mapped.error(), arch::MapError::no_table_left);
}

// The trap handler decides by `running` whether there is a way out.
TEST_F(VirtualProcessorTest, IsRunningOnlyWhileItsGuestDoes) {
    guest_exits();
    run(region);
    EXPECT_TRUE(seen_running);
    EXPECT_FALSE(memory->processor.running);
    EXPECT_TRUE(memory->processor.own_tables) << "a VM exit has loaded them";
}

// CR4.VMXE can be cleared only outside VMX operation; the scripted processor raises #GP otherwise.
TEST_F(VirtualProcessorTest, GivesWindowsItsTablesBackAfterAnExit) {
    const auto windows = arch::ProcessorState::capture();
    processor.registers["CR4"] |= 0x2000;
    processor.registers["CR0"] |= 0x20;
    ASSERT_TRUE(fill(memory->tables, memory->stacks, windows));
    guest_exits();
    {
        const HostStateGuard left{*memory, windows};
        const auto operation = VmxOperation::enter(region.physical_of(&memory->vmxon));
        ASSERT_TRUE(operation);
        run(region);
    }
    EXPECT_EQ(std::uint64_t{processor.gdtr.base}, std::uint64_t{windows.gdtr.base});
    EXPECT_EQ(processor.registers["FS"], 0x53U);
    EXPECT_EQ(processor.registers["DR7"], 0x455U);
    EXPECT_EQ(processor.registers["CR4"], 0x37'06F8U);
    EXPECT_EQ(processor.registers["CR0"], 0x8005'0033U);
}

// The guest has the processor's own, and both stay as it has them.
TEST_F(VirtualProcessorTest, GivesTheHostSystemItsExtendedStateBack) {
    constexpr std::uint64_t os_xsave = 1U << 18;
    processor.registers["CR4"] |= os_xsave;
    processor.registers["XCR0"] = 0x7;
    processor.cpuid[0xD].eax = 1U << 3;
    processor.msrs[arch::Msr::xss] = 0x800;
    const auto windows = arch::ProcessorState::capture();
    ASSERT_TRUE(fill(memory->tables, memory->stacks, windows));
    fake_guest = [](VmmFrame&) {
        processor.registers["XCR0"] = 0x3;
        processor.msrs[arch::Msr::xss] = 0;
    };
    {
        const HostStateGuard left{*memory, windows};
        run(region);
    }
    EXPECT_EQ(processor.registers["XCR0"], 0x7U);
    EXPECT_EQ(processor.msrs[arch::Msr::xss], 0x800U);
}

// Windows' tables are still in use: its TSS is busy there, and LTR would raise #GP.
TEST_F(VirtualProcessorTest, LeavesTheTablesAloneWhenTheFirstEntryWasRefused) {
    const auto windows = arch::ProcessorState::capture();
    ASSERT_TRUE(fill(memory->tables, memory->stacks, windows));
    fake_guest = [](VmmFrame& frame) { frame.owner->guest_stop.why = StopReason::entry_refused; };
    {
        const HostStateGuard left{*memory, windows};
        run(region);
    }
    EXPECT_FALSE(memory->processor.own_tables);
    EXPECT_EQ(processor.written, (std::vector<std::string>{"CR4", "CR4", "CR0"}));
}

}  // namespace
}  // namespace hvp::vmx
