// From an exit to its handler and back: what every exit does, and how it is traced.
#include "tests/unit/exits/exit_test.hpp"

namespace hvp::vmx {
namespace {

TEST_F(ExitTest, TheGuestGoesOnBehindItsHlt) {
    EXPECT_TRUE(exit(ExitReason::hlt, 1));
    EXPECT_EQ(moved(), 1U);
    EXPECT_EQ(processor_.exits[ExitReason::hlt], 1U);
}

TEST_F(ExitTest, SteppingOverEndsTheBlockingBySti) {
    vmcs_.write(guest_interruptibility_state,
                Interruptibility::blocking_by_sti | arch::Flags{Interruptibility::blocking_by_nmi});
    EXPECT_TRUE(exit(ExitReason::hlt, 1));
    EXPECT_EQ(vmcs_.read(guest_interruptibility_state), Interruptibility::blocking_by_nmi);
}

TEST_F(ExitTest, SteppingOverEndsTheBlockingByMovSs) {
    vmcs_.write(guest_interruptibility_state, Interruptibility::blocking_by_mov_ss);
    EXPECT_TRUE(exit(ExitReason::hlt, 1));
    EXPECT_TRUE(vmcs_.read(guest_interruptibility_state).empty());
}

TEST_F(ExitTest, ASingleStepSeesTheInstructionThatWasSteppedOver) {
    vmcs_.write(guest_rflags, arch::Flags{Rflags::always_one} | Rflags::trap);
    vmcs_.write(guest_pending_debug_exceptions, arch::Flags<PendingDebug>{1});
    EXPECT_TRUE(exit(ExitReason::hlt, 1));
    EXPECT_EQ(vmcs_.read(guest_pending_debug_exceptions).raw(), 0x4001U) << "what waited stays";
}

TEST_F(ExitTest, StepsOverBranchesOnlyAreNotTaken) {
    vmcs_.write(guest_rflags, arch::Flags{Rflags::always_one} | Rflags::trap);
    vmcs_.write(guest_debugctl, arch::DebugControl::branch_trap);
    EXPECT_TRUE(exit(ExitReason::hlt, 1));
    EXPECT_TRUE(vmcs_.read(guest_pending_debug_exceptions).empty());
}

TEST_F(ExitTest, In32BitCodeRipWrapsAt4GiB) {
    vmcs_.write(guest_cs_rights, {});
    vmcs_.write(guest_rip, arch::GuestLinearAddress{0xFFFF'FFFF});
    EXPECT_TRUE(exit(ExitReason::cpuid, 2));
    EXPECT_EQ(vmcs_.read(guest_rip).raw(), 1U);
}

TEST_F(ExitTest, AnUnknownReasonEndsTheGuestAndIsNamed) {
    EXPECT_FALSE(exit(ExitReason::apic_access, 2, 0x181));
    EXPECT_EQ(processor_.guest_stop.why, StopReason::unhandled_exit);
    EXPECT_EQ(processor_.guest_stop.reason.basic(), ExitReason::apic_access);
    EXPECT_EQ(processor_.guest_stop.qualification, 0x181U);
    EXPECT_EQ(processor_.guest_stop.guest_rip, rip);
    EXPECT_EQ(moved(), 0U);
}

TEST_F(ExitTest, AReasonBeyondTheTableEndsTheGuest) {
    EXPECT_FALSE(exit(ExitReason{0xFFFF}));
    EXPECT_EQ(processor_.guest_stop.why, StopReason::unhandled_exit);
}

TEST_F(ExitTest, ATripleFaultEndsTheGuest) {
    EXPECT_FALSE(exit(ExitReason::triple_fault));
    EXPECT_EQ(processor_.guest_stop.why, StopReason::triple_fault);
}

TEST_F(ExitTest, AFailedEntryIsNoExit) {
    vmcs_.write(exit_reason,
                {.basic_reason = number_of(ExitReason::invalid_guest_state), .entry_failure = 1});
    EXPECT_FALSE(goes_on_after_exit(frame_));
    EXPECT_EQ(processor_.guest_stop.why, StopReason::entry_failed);
    EXPECT_EQ(processor_.exits[ExitReason::invalid_guest_state], 0U);
}

// ---- The trace

TEST_F(ExitTest, EveryExitIsTraced) {
    use_exit_path(frame_, traced_exits_with_registers());
    registers_[Register::rcx] = 0x480;
    registers_[Register::r15] = 5;
    const std::uint64_t sum = registers_.sum();
    EXPECT_TRUE(exit(ExitReason::rdmsr, 2, 9));
    trace::ExitEvent event{};
    ASSERT_TRUE(ring_.read(event));
    EXPECT_EQ(event.reason, number_of(ExitReason::rdmsr));
    EXPECT_EQ(event.qualification, 9U);
    EXPECT_EQ(event.guest_rip, rip);
    EXPECT_EQ(event.detail, 0x480U);
    EXPECT_EQ(event.registers, sum);
    EXPECT_EQ(event.injected, 0x8000'0B0DU);
    EXPECT_EQ(event.instruction_length, 2U);
    EXPECT_FALSE(ring_.read(event));
}

// What the reason and the qualification leave open: which leaf, call, MSR, event, value. RSP is not
// among the registers of the frame.
TEST_F(ExitTest, TheTraceTellsWhatAnExitWasAbout) {
    use_exit_path(frame_, traced_exits_with_registers());
    vmcs_.write(guest_rsp, arch::GuestLinearAddress{0x5000});
    vmcs_.write(exit_interruption_information, injected_nmi);
    const auto detail = [this](ExitReason reason, std::uint64_t qualification = 0) {
        registers_[Register::rax] = 0x1'0000'0007;
        registers_[Register::rbx] = 0x3000;
        static_cast<void>(exit(reason, 2, qualification));
        trace::ExitEvent event{};
        EXPECT_TRUE(ring_.read(event));
        return event.detail;
    };
    EXPECT_EQ(detail(ExitReason::exception_or_nmi), 0x8000'0202U);
    EXPECT_EQ(detail(ExitReason::cpuid), 7U) << "a leaf has 32 bits";
    EXPECT_EQ(detail(ExitReason::vmcall), 0x1'0000'0007U);
    EXPECT_EQ(detail(ExitReason::control_register_access, 0x303), 0x3000U) << "MOV CR3, RBX";
    EXPECT_EQ(detail(ExitReason::control_register_access, 0x403), 0x5000U) << "MOV CR3, RSP";
    EXPECT_EQ(detail(ExitReason::triple_fault), 0U);
}

TEST(ExitTable, KnowsForWhichReasonsTheLengthIsDefined) {
    using enum ExitReason;
    for (const ExitReason reason :
         {exception_or_nmi, external_interrupt, triple_fault, interrupt_window, nmi_window,
          task_switch, invalid_guest_state, monitor_trap_flag, machine_check_event,
          tpr_below_threshold, ept_violation, ept_misconfiguration, preemption_timer}) {
        EXPECT_FALSE(has_instruction_length(reason)) << exit_reason_name(reason);
    }
    for (const ExitReason reason :
         {cpuid, hlt, vmcall, control_register_access, rdmsr, wrmsr, xsetbv}) {
        EXPECT_TRUE(has_instruction_length(reason)) << exit_reason_name(reason);
    }
}

}  // namespace
}  // namespace hvp::vmx
