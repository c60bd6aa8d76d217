// NMIs and exceptions while the VMM runs, and an entry that the processor refuses.
#include "hypervisor/vcpu/host_traps.hpp"

#include <gtest/gtest.h>
#include <ucontext.h>

#include <csignal>
#include <cstdlib>
#include <memory>

#include "hypervisor/exits/dispatch.hpp"
#include "hypervisor/vcpu/entry.hpp"
#include "hypervisor/vcpu/fix_up.hpp"
#include "tests/unit/vcpu/fake_entry.hpp"

// fix_up.S, as it is in a driver.
extern "C" {
[[gnu::ms_abi]] bool hvp_try_rdmsr(std::uint32_t msr, std::uint64_t* value);
[[gnu::ms_abi]] bool hvp_try_wrmsr(std::uint32_t msr, std::uint64_t value);
[[gnu::ms_abi]] bool hvp_try_xsetbv(std::uint32_t which, std::uint64_t value);
extern const hvp::vmx::FixUp hvp_fix_ups[];
}

namespace hvp::vmx {
namespace {

using arch::processor;
using arch::VmxResult;

constexpr std::uint32_t nmi_window_exiting = 1U << 22;
constexpr std::uint64_t mistake_at = 0xFFFF'F801'0000'2345;

class HostTrapsTest : public testing::Test {
protected:
    HostTrapsTest() {
        processor = {};
        processor.vmcs = {{primary_processor_based_controls.encoding, 0x80},
                          {exit_reason.encoding, number_of(ExitReason::cpuid)},
                          {exit_qualification.encoding, 0x77},
                          {guest_rip.encoding, 0xFFFF'F800'0000'1111}};
        frame.owner = &owner;
        owner.frame = &frame;
        owner.running = true;
        for (TrapStack* const stack : {&stacks->exception, &stacks->machine_check, &stacks->nmi}) {
            stack->owner = &owner;
        }
    }
    /// A trap as the processor and entry.S leave it on its stack.
    static HostTrap& trap_on(TrapStack& stack, Vector vector) {
        auto* const trap = reinterpret_cast<HostTrap*>(stack.top()) - 1;
        *trap = {};
        trap->vector = static_cast<std::uint64_t>(vector);
        trap->error_code = 0x18;
        trap->rip = mistake_at;
        trap->rflags = 0x46;
        trap->rsp = 0xFFFF'F801'0000'9000;
        return *trap;
    }

    std::unique_ptr<HostStacks> stacks = std::make_unique<HostStacks>();
    VmmFrame frame{};
    VirtualProcessor owner{};
};

// A trap can trust nothing but its stack: not GS, not TR.
TEST_F(HostTrapsTest, FindTheirOwnerFromAnyPlaceOnTheirStack) {
    VirtualProcessor other{};
    stacks->machine_check.owner = &other;
    const TrapStack& stack = stacks->exception;
    EXPECT_EQ(&owner_of_trap_stack(&stack), &owner);
    EXPECT_EQ(&owner_of_trap_stack(&stack.room.back()), &owner);
    EXPECT_EQ(&owner_of_trap_stack(&stacks->machine_check.room.front()), &other);
}

// The NMI is the guest's, which takes it as soon as it can. The window is asked for at the entry:
// at the NMI nobody knows which VMCS is current.
TEST_F(HostTrapsTest, AnNmiIsCountedAndTheNextEntryAsksForAWindow) {
    HostTrap& trap = trap_on(stacks->nmi, Vector::nmi);
    handle_host_trap(&trap);
    handle_host_trap(&trap);
    EXPECT_EQ(owner.pending_nmis, 2U);
    EXPECT_EQ(processor.vmcs[primary_processor_based_controls.encoding], 0x80U);
    EXPECT_EQ(trap.rip, mistake_at) << "the VMM goes on where it was";
    EXPECT_EQ(owner.guest_stop.why, StopReason::none);

    hvp_resume_guest(&frame);
    EXPECT_EQ(fake_outcome, FakeOutcome::resumed);
    EXPECT_EQ(processor.vmcs[primary_processor_based_controls.encoding], nmi_window_exiting | 0x80);
    EXPECT_EQ(frame.resume, &hvp_enter_guest) << "once";
}

// Another VMCS may be current, or none: on the way out, or between two guests.
TEST_F(HostTrapsTest, AnNmiTouchesNoVmcs) {
    owner.running = false;
    processor.vmcs.clear();
    EXPECT_NO_THROW(handle_host_trap(&trap_on(stacks->nmi, Vector::nmi)));
    EXPECT_EQ(owner.pending_nmis, 1U);
}

// One that the handler of the exit has injected already wants no window.
TEST_F(HostTrapsTest, AnNmiThatIsTakenMeanwhileWantsNoWindow) {
    handle_host_trap(&trap_on(stacks->nmi, Vector::nmi));
    owner.pending_nmis = 0;
    hvp_resume_guest(&frame);
    EXPECT_EQ(processor.vmcs[primary_processor_based_controls.encoding], 0x80U);
}

// From the jump through VmmFrame::resume to VM entry.
TEST_F(HostTrapsTest, AnNmiShortlyBeforeTheEntryBeginsItAnew) {
    HostTrap& trap = trap_on(stacks->nmi, Vector::nmi);
    for (const EntryRange& range : hvp_entry_ranges) {
        for (const std::uint64_t rip : {range.begin, range.end - 1}) {
            trap.rip = rip;
            handle_host_trap(&trap);
            EXPECT_EQ(trap.rip, range.restart);
        }
        for (const std::uint64_t rip : {range.begin - 1, range.end}) {
            trap.rip = rip;
            handle_host_trap(&trap);
            EXPECT_EQ(trap.rip, rip);
        }
    }
}

// [SDM 3A 15.3.1.2 "IA32_MCG_STATUS MSR"]: RIPV says that the interrupted program can go on. MCIP is
// the host system's to clear.
TEST_F(HostTrapsTest, AMachineCheckThatTheVmmSurvivesIsTheGuests) {
    processor.msrs[arch::Msr::mcg_status] = 0b101;
    processor.vmcs[entry_interruption_information.encoding] = 0;
    HostTrap& trap = trap_on(stacks->machine_check, Vector::machine_check);
    handle_host_trap(&trap);
    EXPECT_EQ(trap.rip, mistake_at) << "the VMM goes on where it was";
    EXPECT_TRUE(owner.machine_check);
    hvp_resume_guest(&frame);
    EXPECT_EQ(fake_outcome, FakeOutcome::resumed);
    EXPECT_EQ(processor.vmcs[entry_interruption_information.encoding], 0x8000'0312U);
    EXPECT_FALSE(owner.machine_check);
    EXPECT_EQ(processor.msrs[arch::Msr::mcg_status], 0b101U);
    EXPECT_EQ(owner.guest_stop.why, StopReason::none);
}

TEST_F(HostTrapsTest, AMachineCheckWaitsForAnInterruptThatIsOnItsWay) {
    processor.msrs[arch::Msr::mcg_status] = 1;
    processor.vmcs[entry_interruption_information.encoding] = 0x8000'00D1;
    handle_host_trap(&trap_on(stacks->machine_check, Vector::machine_check));
    hvp_resume_guest(&frame);
    EXPECT_EQ(processor.vmcs[entry_interruption_information.encoding], 0x8000'00D1U);
    EXPECT_EQ(processor.vmcs[primary_processor_based_controls.encoding], nmi_window_exiting | 0x80)
        << "an exit as soon as it has arrived";
    EXPECT_TRUE(owner.machine_check);
}

TEST_F(HostTrapsTest, AMachineCheckThatEndsTheVmmIsTheHostSystems) {
    processor.msrs[arch::Msr::mcg_status] = 0b100;
    HostTrap& trap = trap_on(stacks->machine_check, Vector::machine_check);
    handle_host_trap(&trap);
    EXPECT_EQ(trap.rip, reinterpret_cast<std::uint64_t>(&hvp_leave_after_trap));
    EXPECT_EQ(owner.guest_stop.trap.vector, 18U);
    EXPECT_TRUE(owner.machine_check);
    EXPECT_EQ(processor.msrs[arch::Msr::mcg_status], 0b100U);
}

TEST_F(HostTrapsTest, AnExceptionIsReported) {
    processor.registers["CR2"] = 0xBAD0'0000;
    handle_host_trap(&trap_on(stacks->exception, Vector::page_fault));
    const GuestStop& guest_stop = owner.guest_stop;
    EXPECT_EQ(guest_stop.why, StopReason::exception_in_vmm);
    EXPECT_EQ(guest_stop.trap.vector, 14U);
    EXPECT_EQ(guest_stop.trap.error_code, 0x18U);
    EXPECT_EQ(guest_stop.trap.rip, mistake_at) << "where it happened, not where we go on";
    EXPECT_EQ(guest_stop.trap.rsp, 0xFFFF'F801'0000'9000U);
    EXPECT_EQ(guest_stop.trap.cr2, 0xBAD0'0000U);
    EXPECT_EQ(guest_stop.reason.basic(), ExitReason::cpuid) << "the exit that was being handled";
    EXPECT_EQ(guest_stop.qualification, 0x77U);
    EXPECT_EQ(guest_stop.guest_rip, 0xFFFF'F800'0000'1111U);
}

// IRETQ leads to the way out, with the stack that the way out expects, and interrupts off.
TEST_F(HostTrapsTest, AnExceptionLeavesTheGuest) {
    HostTrap& trap = trap_on(stacks->exception, Vector::general_protection);
    handle_host_trap(&trap);
    EXPECT_EQ(trap.rip, reinterpret_cast<std::uint64_t>(&hvp_leave_after_trap));
    EXPECT_EQ(trap.rsp, reinterpret_cast<std::uint64_t>(&frame));
    EXPECT_EQ(trap.rflags, 2U);
    EXPECT_EQ(owner.pending_nmis, 0U);
}

// RDMSR in an ordinary process is refused as a wrong MSR is in the VMM: by #GP, at the instruction.
// The signal handler does what handle_host_trap does, with the registers of the process.
TEST(FixUp, AnInstructionThatIsRefusedIsAnAnswer) {
    static HostTrap seen;
    struct sigaction before{};
    struct sigaction ours{};
    ours.sa_flags = SA_SIGINFO;
    ours.sa_sigaction = [](int, siginfo_t*, void* context) {
        greg_t* const registers = static_cast<ucontext_t*>(context)->uc_mcontext.gregs;
        seen = {};
        seen.vector = static_cast<std::uint64_t>(registers[REG_TRAPNO]);
        seen.rip = static_cast<std::uint64_t>(registers[REG_RIP]);
        if (!fix_up(seen)) {
            std::_Exit(1);
        }
        registers[REG_RIP] = static_cast<greg_t>(seen.rip);
    };
    ASSERT_EQ(sigaction(SIGSEGV, &ours, &before), 0);
    std::uint64_t value = 7;
    EXPECT_FALSE(hvp_try_rdmsr(0x10, &value));
    EXPECT_EQ(seen.vector, 13U);
    EXPECT_EQ(value, 7U);
    EXPECT_FALSE(hvp_try_wrmsr(0x10, 0));
    EXPECT_FALSE(hvp_try_xsetbv(0, 1));
    ASSERT_EQ(sigaction(SIGSEGV, &before, nullptr), 0);
}

// Of an instruction that has a landing, too: only #GP is the processor's refusal.
TEST_F(HostTrapsTest, AnExceptionWithALandingGoesOnThere) {
    const FixUp& row = hvp_fix_ups[0];
    HostTrap& trap = trap_on(stacks->exception, Vector::general_protection);
    trap.rip = row.instruction;
    handle_host_trap(&trap);
    EXPECT_EQ(trap.rip, row.landing);
    EXPECT_EQ(trap.rsp, 0xFFFF'F801'0000'9000U);
    EXPECT_EQ(owner.guest_stop.why, StopReason::none);
    HostTrap& other = trap_on(stacks->exception, Vector::invalid_opcode);
    other.rip = row.instruction;
    handle_host_trap(&other);
    EXPECT_EQ(owner.guest_stop.why, StopReason::exception_in_vmm);
}

// The guest is left already: to leave it again would run the way out on a frame that is used up.
TEST_F(HostTrapsTest, AnExceptionOnTheWayOutHaltsTheProcessor) {
    owner.running = false;
    processor.registers["RFLAGS"] = 0x246;
    HostTrap& trap = trap_on(stacks->exception, Vector::page_fault);
    EXPECT_THROW(handle_host_trap(&trap), arch::HaltedForGood);
    EXPECT_EQ(owner.guest_stop.why, StopReason::none);
    EXPECT_EQ(trap.rip, mistake_at);
}

// [SDM 3C 30.4 "VM Instruction Error Numbers"]: 8 is a host-state field that is wrong.
TEST_F(HostTrapsTest, ARefusedEntryTellsItsNumber) {
    processor.vmcs = {{vm_instruction_error.encoding, 8}};
    frame.refused_by = EntryInstruction::vmresume;
    untraced_exits().on_failed_entry(&frame);
    EXPECT_EQ(owner.guest_stop.why, StopReason::entry_refused);
    EXPECT_EQ(owner.guest_stop.refused_by, EntryInstruction::vmresume);
    EXPECT_EQ(owner.guest_stop.result, VmxResult::fail_valid);
    EXPECT_EQ(owner.guest_stop.error_number, 8U);
}

// VMREAD fails as VMLAUNCH did: no VMCS is current.  [SDM 3C 30.2 "Conventions"]
TEST_F(HostTrapsTest, ARefusedEntryWithoutAVmcsHasNoNumber) {
    processor.vmcs.clear();
    processor.without_field = VmxResult::fail_invalid;
    untraced_exits().on_failed_entry(&frame);
    EXPECT_EQ(owner.guest_stop.why, StopReason::entry_refused);
    EXPECT_EQ(owner.guest_stop.result, VmxResult::fail_invalid);
    EXPECT_EQ(owner.guest_stop.error_number, 0U);
}

TEST_F(HostTrapsTest, AnExitIsHandledOnTheCurrentVmcs) {
    processor.cpuid[0] = {.eax = 0x16, .ebx = 1, .ecx = 2, .edx = 3};
    processor.vmcs[exit_instruction_length.encoding] = 2;
    processor.vmcs[guest_rflags.encoding] = 2;
    processor.vmcs[guest_interruptibility_state.encoding] = 0;
    untraced_exits().on_exit(&frame);
    EXPECT_EQ(fake_outcome, FakeOutcome::resumed);
    EXPECT_EQ(frame.registers[Register::rax], 0x16U);
    EXPECT_EQ(processor.vmcs[guest_rip.encoding], 0xFFFF'F800'0000'1113U);
    EXPECT_EQ(owner.exits[ExitReason::cpuid], 1U);
}

}  // namespace
}  // namespace hvp::vmx
