// A guest that is left goes on with its own state, and with what was pending for it.
#include "hypervisor/vcpu/departure.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdint>

#include "hypervisor/vcpu/host_environment.hpp"
#include "hypervisor/vmcs/controls.hpp"
#include "hypervisor/vmcs/fields.hpp"
#include "tests/unit/vcpu/fake_entry.hpp"
#include "tests/unit/vcpu/virtual_processor_memory.hpp"

namespace hvp::vmx {
namespace {

using arch::processor;

constexpr std::size_t end_of_interrupt = 0xB0 / 4;
constexpr std::size_t in_service = 0x100 / 4;
constexpr std::size_t command_low = 0x300 / 4;
constexpr std::size_t command_high = 0x310 / 4;
constexpr std::uint32_t own_id = 3;

class DepartureTest : public VirtualProcessorMemory {
protected:
    DepartureTest() {
        apic[0x20 / 4] = own_id << 24;
        apic[end_of_interrupt] = untouched;
        apic[in_service + 4 * (0xD1 / 32)] = 1U << 0xD1 % 32;
        memory->processor.local_apic = arch::LocalApic{apic.data()};
        memory->processor.running = true;
        memory->frame()->owner = &memory->processor;
        const auto windows = arch::ProcessorState::capture();
        EXPECT_TRUE(fill(memory->tables, memory->stacks, windows));
        processor.in_vmx_operation = true;
        processor.current_vmcs = region.physical_of(&memory->vmcs).raw();
        const auto segment = [](auto field, SegmentIndex which, std::uint64_t value) {
            processor.vmcs[nth(field, which)] = value;
        };
        using enum SegmentIndex;
        for (const SegmentIndex each : {es, cs, ss, ds, fs, gs, ldtr, tr}) {
            segment(guest_es_base, each, 0);
        }
        segment(guest_es_selector, es, 0x2B);
        segment(guest_es_selector, cs, 0x10);
        segment(guest_es_selector, ss, 0x18);
        segment(guest_es_selector, ds, 0x23);
        segment(guest_es_selector, fs, 0x53);
        segment(guest_es_selector, gs, 0x2B);
        segment(guest_es_selector, ldtr, 0);
        segment(guest_es_selector, tr, 0x40);
        segment(guest_es_base, fs, 0x1111);
        segment(guest_es_base, gs, 0x2222);
        processor.vmcs[guest_cr0.encoding] = 0x8005'003B;
        processor.vmcs[cr0_guest_host_mask.encoding] = 0x20;
        processor.vmcs[cr0_read_shadow.encoding] = 0x11;
        processor.vmcs[guest_cr3.encoding] = 0x7'7000;
        processor.vmcs[guest_cr4.encoding] = 0x37'26F8;
        processor.vmcs[cr4_guest_host_mask.encoding] = 0x2000;
        processor.vmcs[cr4_read_shadow.encoding] = 0;
        processor.vmcs[guest_dr7.encoding] = 0x402;
        processor.vmcs[guest_debugctl.encoding] = 1;
        processor.vmcs[guest_sysenter_cs.encoding] = 0x91;
        processor.vmcs[guest_sysenter_esp.encoding] = 0x92;
        processor.vmcs[guest_sysenter_eip.encoding] = 0x93;
        processor.vmcs[guest_gdtr_base.encoding] = reinterpret_cast<std::uint64_t>(gdt.data());
        processor.vmcs[guest_gdtr_limit.encoding] = sizeof gdt - 1;
        processor.vmcs[guest_idtr_base.encoding] = 0xFFFF'F803'0000'7000;
        processor.vmcs[guest_idtr_limit.encoding] = 0xFFF;
        processor.vmcs[guest_rip.encoding] = 0xFFFF'F800'0000'1111;
        processor.vmcs[guest_rsp.encoding] = 0xFFFF'F800'0000'2222;
        processor.vmcs[guest_rflags.encoding] = 0x246;
        processor.vmcs[guest_interruptibility_state.encoding] = 0;
        processor.vmcs[entry_controls.encoding] = arch::Flags{EntryControl::ia32e_mode_guest}.raw();
        processor.vmcs[idt_vectoring_information.encoding] = 0;
        processor.vmcs[entry_interruption_information.encoding] = 0;
    }
    void leave() { EXPECT_THROW(depart(memory->frame()), ContinuesNatively); }

    static constexpr std::uint32_t untouched = 0xDEAD;
    std::array<volatile std::uint32_t, 256> apic{};
};

TEST_F(DepartureTest, GivesTheProcessorTheStateThatTheGuestHasNow) {
    leave();
    EXPECT_FALSE(processor.in_vmx_operation);
    EXPECT_EQ(processor.registers["CR0"], 0x8005'001BU) << "as the guest reads it";
    EXPECT_EQ(processor.registers["CR3"], 0x7'7000U);
    EXPECT_EQ(processor.registers["CR4"], 0x37'06F8U) << "without VMXE, as the guest reads it";
    EXPECT_EQ(processor.registers["DR7"], 0x402U);
    EXPECT_EQ(processor.registers["DS"], 0x23U);
    EXPECT_EQ(processor.registers["TR"], 0x40U);
    EXPECT_EQ(processor.msrs[arch::Msr::fs_base], 0x1111U);
    EXPECT_EQ(processor.msrs[arch::Msr::gs_base], 0x2222U);
    EXPECT_EQ(processor.msrs[arch::Msr::debugctl], 1U);
    EXPECT_EQ(processor.msrs[arch::Msr::sysenter_cs], 0x91U);
    EXPECT_EQ(processor.msrs[arch::Msr::sysenter_esp], 0x92U);
    EXPECT_EQ(processor.msrs[arch::Msr::sysenter_eip], 0x93U);
    EXPECT_EQ(std::uint64_t{processor.idtr.base}, 0xFFFF'F803'0000'7000U);
    EXPECT_EQ(std::uint64_t{processor.gdtr.base}, reinterpret_cast<std::uint64_t>(gdt.data()));
    EXPECT_TRUE(memory->processor.departed);
    EXPECT_FALSE(memory->processor.running);
}

// What IRETQ pops: RIP, CS, RFLAGS, RSP, SS.  [SDM 3A 6.14.3 "IRET in IA-32e Mode"]
TEST_F(DepartureTest, GoesOnAtTheGuestsNextInstruction) {
    leave();
    const auto* const popped = reinterpret_cast<const std::uint64_t*>(memory->frame());
    EXPECT_EQ((std::array{popped[0], popped[1], popped[2], popped[3], popped[4]}),
              (std::array<std::uint64_t, 5>{0xFFFF'F800'0000'1111, 0x10, 0x246,
                                            0xFFFF'F800'0000'2222, 0x18}));
}

// VMCLEAR needs VMX operation.
TEST_F(DepartureTest, ClearsTheVmcsBeforeItLeaves) {
    leave();
    const auto& written = processor.written;
    EXPECT_LT(std::ranges::find(written, "VMCLEAR") - written.begin(),
              std::ranges::find(written, "VMXOFF") - written.begin());
    EXPECT_NE(std::ranges::find(written, "VMCLEAR"), written.end());
}

// The VMM has acknowledged it, so it is in service, and would be for ever.
TEST_F(DepartureTest, GivesAPendingInterruptBackToTheApic) {
    memory->processor.interrupt = std::uint8_t{0xD1};
    leave();
    EXPECT_EQ(apic[end_of_interrupt], 0U);
    EXPECT_EQ(apic[command_low] & 0xFFU, 0xD1U);
    EXPECT_FALSE(memory->processor.interrupt);
}

// It is in service nowhere: an EOI would end another one.
TEST_F(DepartureTest, ASpuriousInterruptIsNobodys) {
    memory->processor.interrupt = std::uint8_t{0x3F};
    leave();
    EXPECT_EQ(apic[end_of_interrupt], untouched);
    EXPECT_EQ(apic[command_low], 0U);
    EXPECT_FALSE(memory->processor.interrupt);
}

TEST_F(DepartureTest, GivesBackAnInterruptWhoseDeliveryMadeTheExit) {
    processor.vmcs[idt_vectoring_information.encoding] = 0x8000'00D1;
    leave();
    EXPECT_EQ(apic[end_of_interrupt], 0U);
    EXPECT_EQ(apic[command_low] & 0xFFU, 0xD1U);
}

TEST_F(DepartureTest, SendsItselfTheNmisThatArePending) {
    memory->processor.pending_nmis = 2;
    processor.vmcs[entry_interruption_information.encoding] = 0x8000'0202;
    leave();
    EXPECT_EQ(apic[command_low] & 0x700U, 0x400U) << "delivery mode NMI";
    EXPECT_EQ(memory->processor.pending_nmis, 0U);
    EXPECT_EQ(apic[command_high], 0U) << "as whoever was interrupted has left it";
    EXPECT_EQ(apic[end_of_interrupt], untouched) << "an NMI is never in service";
}

// A fault is raised again by its instruction.
TEST_F(DepartureTest, KeepsNothingOfAnException) {
    processor.vmcs[idt_vectoring_information.encoding] = 0x8000'0B0E;
    leave();
    EXPECT_EQ(apic[end_of_interrupt], untouched);
    EXPECT_EQ(apic[command_low], 0U);
}

TEST_F(DepartureTest, LeavesAGuestInAnotherModeAsAFunction) {
    processor.vmcs[entry_controls.encoding] = 0;
    fake_outcome = FakeOutcome::none;
    depart(memory->frame());
    EXPECT_EQ(fake_outcome, FakeOutcome::left);
    EXPECT_FALSE(memory->processor.departed);
    EXPECT_TRUE(processor.in_vmx_operation) << "whoever has entered it leaves it";
}

TEST_F(DepartureTest, LeavesAGuestThatAskedForItAsAFunction) {
    memory->processor.guest_stop.why = StopReason::stopped_by_guest;
    fake_outcome = FakeOutcome::none;
    depart(memory->frame());
    EXPECT_EQ(fake_outcome, FakeOutcome::left);
    EXPECT_FALSE(memory->processor.departed);
}

// The processor that has refused the state at VM entry might refuse it here, too.
TEST_F(DepartureTest, LeavesAGuestWhoseEntryFailedAsAFunction) {
    for (const StopReason why : {StopReason::entry_failed, StopReason::entry_refused}) {
        memory->processor.guest_stop.why = why;
        fake_outcome = FakeOutcome::none;
        depart(memory->frame());
        EXPECT_EQ(fake_outcome, FakeOutcome::left);
    }
}

// RIP is at its VMCALL, which would be #UD.
TEST_F(DepartureTest, LeavesAGuestThatWasCallingAsAFunction) {
    memory->processor.guest_stop.reason = {.basic_reason =
                                               static_cast<std::uint32_t>(ExitReason::vmcall)};
    processor.vmcs[guest_rflags.encoding] = 0x46;
    fake_outcome = FakeOutcome::none;
    depart(memory->frame());
    EXPECT_EQ(fake_outcome, FakeOutcome::left);
}

// Its frame lies where the next NMI's would.
TEST_F(DepartureTest, SendsNoNmiIntoTheHandlerOfOne) {
    memory->processor.pending_nmis = 1;
    processor.vmcs[guest_interruptibility_state.encoding] = 8;
    leave();
    EXPECT_EQ(apic[command_low], 0U);
    EXPECT_EQ(memory->processor.pending_nmis, 1U);
    const auto windows = arch::ProcessorState::capture();
    {
        const HostStateGuard left{*memory, windows};
    }
    EXPECT_EQ(apic[command_low] & 0x700U, 0x400U) << "but when the function has ended";
}

// An interrupted delivery blocks NMIs, and there is no handler.
// [SDM 3C 27.1 "Architectural State Before a VM Exit"]
TEST_F(DepartureTest, SendsTheNmiWhoseDeliveryMadeTheExit) {
    processor.vmcs[guest_interruptibility_state.encoding] = 8;
    processor.vmcs[idt_vectoring_information.encoding] = 0x8000'0202;
    leave();
    EXPECT_EQ(apic[command_low] & 0x700U, 0x400U);
}

// TF, IF and BTF are the VMM's meanwhile.
TEST_F(DepartureTest, AStepOfTheVmmIsNotTheGuests) {
    SingleStep& step = memory->processor.step;
    step.on_exit = hvp_enter_guest;
    step.on_exit_of_step = hvp_leave_vmm;
    memory->frame()->on_exit = step.on_exit_of_step;
    step.rflags = arch::Flags<arch::Rflags>{0x246};
    step.debugctl = arch::Flags<arch::DebugControl>{2};
    processor.vmcs[guest_rflags.encoding] = 0x146;
    leave();
    EXPECT_EQ(reinterpret_cast<const std::uint64_t*>(memory->frame())[2], 0x246U);
    EXPECT_EQ(processor.msrs[arch::Msr::debugctl], 2U);
}

// NMIs that came too late for a guest that was a function.
TEST_F(DepartureTest, NmisOfAGuestThatIsOverAreTheHostSystems) {
    const auto windows = arch::ProcessorState::capture();
    processor.in_vmx_operation = false;
    {
        const HostStateGuard left{*memory, windows};
        memory->processor.pending_nmis = 1;
    }
    EXPECT_EQ(apic[command_low] & 0x700U, 0x400U);
    EXPECT_EQ(memory->processor.pending_nmis, 0U);
}

// So are interrupts that the VMM has acknowledged, or that were on their way into the guest.
TEST_F(DepartureTest, AnInterruptOfAGuestThatIsOverIsTheHostSystems) {
    const auto windows = arch::ProcessorState::capture();
    fake_guest = [](VmmFrame&) {};
    for (const bool acknowledged : {true, false}) {
        apic[end_of_interrupt] = untouched;
        apic[command_low] = 0;
        memory->processor.interrupt.reset();
        if (acknowledged) {
            memory->processor.interrupt = std::uint8_t{0xD1};
        }
        processor.vmcs[idt_vectoring_information.encoding] = acknowledged ? 0 : 0x8000'00D1;
        {
            const HostStateGuard left{*memory, windows};
            run(region);
            processor.in_vmx_operation = false;
            EXPECT_EQ(apic[end_of_interrupt], untouched) << "not under the VMM's IDT";
        }
        EXPECT_EQ(apic[end_of_interrupt], 0U);
        EXPECT_EQ(apic[command_low] & 0xFFU, 0xD1U);
    }
}

// What an entry that failed has left in the field is of another time.
TEST_F(DepartureTest, ADeliveryOfBeforeAFailedEntryIsOver) {
    processor.vmcs[idt_vectoring_information.encoding] = 0x8000'00D1;
    memory->processor.guest_stop.why = StopReason::entry_failed;
    keep_undelivered(memory->processor);
    EXPECT_FALSE(memory->processor.interrupt);
    processor.vmcs[entry_interruption_information.encoding] = 0x8000'00E1;
    keep_undelivered(memory->processor);
    EXPECT_EQ(memory->processor.interrupt, 0xE1);
}

// With the host system's gates in place: INT finds its handler there.
TEST_F(DepartureTest, AMachineCheckIsTheHostSystemsInTheEnd) {
    memory->processor.machine_check = true;
    leave();
    EXPECT_EQ(processor.written.back(), "INT 18");
    EXPECT_FALSE(memory->processor.machine_check);
    const auto windows = arch::ProcessorState::capture();
    memory->processor.departed = false;
    {
        const HostStateGuard left{*memory, windows};
        memory->processor.machine_check = true;
    }
    EXPECT_EQ(std::ranges::count(processor.written, "INT 18"), 2);
    EXPECT_EQ(processor.written.back(), "INT 18");
}

TEST_F(DepartureTest, InX2apicModeTheRegistersAreMsrs) {
    memory->processor.local_apic = {};
    processor.msrs[arch::Msr::apic_base] = 0xFEE0'0C00;
    constexpr auto id = static_cast<arch::Msr>(0x802);
    constexpr auto eoi = static_cast<arch::Msr>(0x80B);
    constexpr auto command = static_cast<arch::Msr>(0x830);
    processor.msrs[id] = 0x12345;
    processor.msrs[eoi] = 1;
    processor.msrs[command] = 0;
    processor.msrs[static_cast<arch::Msr>(0x817)] = 1U << 0xE1 % 32;
    memory->processor.interrupt = std::uint8_t{0xE1};
    leave();
    EXPECT_EQ(processor.msrs[eoi], 0U);
    EXPECT_EQ(processor.msrs[command], 0x0001'2345'0000'40E1U);
}

}  // namespace
}  // namespace hvp::vmx
