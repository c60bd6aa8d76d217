// One instruction of the guest, and what it may see of being stepped: nothing.
#include "hypervisor/exits/single_step.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>

#include "hypervisor/exits/dispatch.hpp"
#include "tests/unit/exits/exit_outcome.hpp"

namespace hvp::vmx {
namespace {

constexpr std::uint64_t rip = 0xFFFF'F801'0000'1000;
constexpr std::uint64_t trap_flag = 0x100;
constexpr std::uint64_t interrupt_flag = 0x200;
constexpr std::uint64_t single_step_bit = 0x4000;

/// Violations are answered with a view for one instruction, and its end with another one.
AfterEvent on_violation(Exit exit, std::vector<bool>&) {
    return after_violation(exit, guest_memory_event(exit, false),
                           {.goes_on = true,
                            .ept = ept::pointer_to(arch::HostPhysicalAddress{0x6000}),
                            .for_one_instruction = true});
}
ept::Pointer on_step_end(Exit, std::vector<bool>& steps, bool executed) {
    steps.push_back(executed);
    return ept::pointer_to(arch::HostPhysicalAddress{0x5000});
}
constexpr auto handlers =
    default_handlers.with<ExitReason::ept_violation, on_violation>().with_step_end<on_step_end>();

class Step : public testing::TestWithParam<StepBy> {
protected:
    Step() {
        arch::processor = {};
        frame_.owner = &processor_;
        vmcs_.write(guest_cr0, arch::Cr0::protection_enable | arch::Cr0::paging);
        use_exit_path(frame_, exit_path<handlers>(steps_));
        processor_.step.by = GetParam();
        vmcs_.write(guest_rip, arch::GuestLinearAddress{rip});
        vmcs_.write(guest_cs_rights, {.long_mode = 1});
        vmcs_.write(guest_rflags, arch::Flags<arch::Rflags>{interrupt_flag | 2});
        vmcs_.write(exit_instruction_length, 2);
    }

    void begin() {
        vmcs_.write(exit_reason, {.basic_reason = number_of(ExitReason::ept_violation)});
        vmcs_.write(exit_qualification, 0x181);
        ASSERT_TRUE(goes_on_after_exit(frame_));
        EXPECT_EQ(vmcs_.read(ept_pointer).frame, 6U);
        EXPECT_EQ(frame_.on_exit, processor_.step.on_exit_of_step);
    }
    bool exit(ExitReason reason, std::uint64_t qualification = 0) {
        vmcs_.write(exit_reason, {.basic_reason = number_of(reason)});
        vmcs_.write(exit_qualification, qualification);
        const bool goes_on = goes_on_after_exit(frame_);
        EXPECT_NE(frame_.on_exit, processor_.step.on_exit_of_step) << "the step is over";
        return goes_on;
    }
    bool exception_exit(const InterruptionInformation& event, std::uint64_t qualification = 0) {
        vmcs_.write(exit_interruption_information, event);
        return exit(ExitReason::exception_or_nmi, qualification);
    }
    /// As the instruction ends that was to be stepped.
    bool end(std::uint64_t breakpoints = 0) {
        if (GetParam() == StepBy::monitor_trap_flag) {
            return exit(ExitReason::monitor_trap_flag);
        }
        return exception_exit(exception(Vector::debug), single_step_bit | breakpoints);
    }
    [[nodiscard]] std::uint64_t flags() const { return vmcs_.read(guest_rflags).raw(); }
    [[nodiscard]] std::uint64_t pending() const {
        return vmcs_.read(guest_pending_debug_exceptions).raw();
    }

    UncheckedVmcs vmcs_{};
    VmmFrame frame_{};
    VirtualProcessor processor_{};
    std::vector<bool> steps_{};
};

INSTANTIATE_TEST_SUITE_P(By, Step, testing::Values(StepBy::trap_flag, StepBy::monitor_trap_flag),
                         [](const auto& info) {
                             return info.param == StepBy::trap_flag ? "TrapFlag"
                                                                    : "MonitorTrapFlag";
                         });

TEST_P(Step, LeavesEverythingAsItWas) {
    begin();
    EXPECT_TRUE(end());
    EXPECT_THAT(steps_, testing::ElementsAre(true));
    EXPECT_EQ(vmcs_.read(ept_pointer).frame, 5U) << "the stage has chosen";
    EXPECT_EQ(flags(), interrupt_flag | 2);
    EXPECT_EQ(pending(), 0U);
    EXPECT_EQ(vmcs_.read(exception_bitmap), 0U);
    EXPECT_EQ(vmcs_.read(primary_processor_based_controls).raw(), 0U);
    EXPECT_EQ(vmcs_.read(entry_interruption_information).valid, 0U);
    EXPECT_EQ(vmcs_.read(guest_rip).raw(), rip) << "the processor moves it, not we";
    EXPECT_THAT(arch::processor.written, testing::IsEmpty()) << "nor DR6, nor CR2";
}

// An interrupt whose handler ran first would use the step up, and in the wrong view.
TEST_P(Step, HoldsInterruptsBack) {
    begin();
    const bool interrupts_on = (flags() & interrupt_flag) != 0;
    const bool blocked =
        vmcs_.read(guest_interruptibility_state).has(Interruptibility::blocking_by_sti);
    EXPECT_EQ(interrupts_on, blocked);
}

// [SDM 3C 26.3.1.5 "Checks on Guest Non-Register State"]: with TF and blocking by STI or MOV SS a
// debug exception must be pending.
TEST_P(Step, NeverHasTheTrapFlagBesideBlocking) {
    for (const std::uint64_t guests : {std::uint64_t{0}, trap_flag}) {
        vmcs_.write(guest_rflags, arch::Flags<arch::Rflags>{guests | interrupt_flag | 2});
        vmcs_.write(guest_interruptibility_state, {});
        begin();
        EXPECT_TRUE((flags() & trap_flag) == 0 ||
                    (vmcs_.read(guest_interruptibility_state) & until_next_instruction).empty());
        EXPECT_TRUE(end());
    }
}

TEST_P(Step, OfAGuestThatIsSteppedAlready) {
    vmcs_.write(guest_rflags, arch::Flags<arch::Rflags>{trap_flag | 2});
    begin();
    if (GetParam() == StepBy::monitor_trap_flag) {
        // The exit comes before the debug exception, which the processor notes.
        vmcs_.write(guest_pending_debug_exceptions, PendingDebug::single_step);
    }
    EXPECT_TRUE(end());
    EXPECT_EQ(flags(), trap_flag | 2);
    EXPECT_EQ(pending(), single_step_bit) << "its own step is delivered by the entry";
}

TEST_P(Step, EndsAtAnyOtherExitToo) {
    vmcs_.write(guest_interruptibility_state, Interruptibility::blocking_by_sti);
    begin();
    vmcs_.write(exit_interruption_information, injected_nmi);
    EXPECT_TRUE(exit(ExitReason::exception_or_nmi));
    EXPECT_THAT(steps_, testing::ElementsAre(false));
    EXPECT_EQ(processor_.pending_nmis, 1U) << "the NMI is handled as always";
    EXPECT_EQ(flags(), interrupt_flag | 2);
    EXPECT_TRUE(vmcs_.read(guest_interruptibility_state).has(Interruptibility::blocking_by_sti))
        << "the instruction has not been executed";
    EXPECT_EQ(vmcs_.read(exception_bitmap), 0U);
}

TEST_P(Step, ItsOwnBlockingEndsWithIt) {
    begin();
    vmcs_.write(exit_interruption_information, injected_nmi);
    EXPECT_TRUE(exit(ExitReason::exception_or_nmi));
    EXPECT_TRUE(vmcs_.read(guest_interruptibility_state).empty());
}

TEST_P(Step, AnInstructionThatExitsIsSteppedOver) {
    begin();
    EXPECT_TRUE(exit(ExitReason::cpuid));
    EXPECT_EQ(vmcs_.read(guest_rip).raw(), rip + 2);
    EXPECT_EQ(pending(), 0U) << "TF was ours";
    EXPECT_EQ(flags(), interrupt_flag | 2);
}

class StepByTrapFlag : public Step {};
INSTANTIATE_TEST_SUITE_P(Only, StepByTrapFlag, testing::Values(StepBy::trap_flag));

TEST_P(StepByTrapFlag, AFaultIsTheGuests) {
    begin();
    vmcs_.write(exit_interruption_error_code, 2);
    EXPECT_TRUE(exception_exit(exception(Vector::page_fault), 0x1234'5000));
    EXPECT_THAT(steps_, testing::ElementsAre(false));
    EXPECT_EQ(vmcs_.read(entry_interruption_information).vector, 14U);
    EXPECT_EQ(vmcs_.read(entry_exception_error_code), 2U);
    EXPECT_EQ(arch::processor.registers["CR2"], 0x1234'5000U);
    constexpr std::uint64_t resume_flag = 0x1'0000;
    EXPECT_EQ(flags(), interrupt_flag | 2 | resume_flag) << "what its handler finds on the stack";
}

TEST_P(StepByTrapFlag, ABreakpointOnTheInstructionIsMetAgain) {
    begin();
    EXPECT_TRUE(exception_exit(exception(Vector::debug), 1));
    EXPECT_THAT(steps_, testing::ElementsAre(false));
    EXPECT_EQ(vmcs_.read(entry_interruption_information).valid, 0U);
    EXPECT_EQ(pending(), 0U);
}

TEST_P(StepByTrapFlag, ABreakpointOnDataIsTheGuests) {
    begin();
    EXPECT_TRUE(end(0b0100));
    EXPECT_EQ(pending(), 0x1004U) << "B2, and that one was enabled; no BS";
}

TEST_P(StepByTrapFlag, DebugExceptionsThatWaitBehindMovSsGoOnWaiting) {
    vmcs_.write(guest_interruptibility_state, Interruptibility::blocking_by_mov_ss);
    vmcs_.write(guest_pending_debug_exceptions,
                PendingDebug::breakpoint_1 | PendingDebug::enabled_breakpoint);
    begin();
    EXPECT_EQ(pending(), 0U);
    EXPECT_TRUE(end());
    EXPECT_EQ(pending(), 0x1002U);
    EXPECT_TRUE(vmcs_.read(guest_interruptibility_state).empty());
}

TEST_P(StepByTrapFlag, DoesNotStopAtBranchesOnly) {
    using arch::DebugControl;
    constexpr auto both = DebugControl::last_branch_record | DebugControl::branch_trap;
    vmcs_.write(guest_debugctl, both);
    begin();
    EXPECT_EQ(vmcs_.read(guest_debugctl), DebugControl::last_branch_record);
    EXPECT_TRUE(end());
    EXPECT_EQ(vmcs_.read(guest_debugctl), both);
}

TEST(StepOf, InstructionsThatWouldSeeIt) {
    const auto refused = [](std::initializer_list<std::uint8_t> code) {
        return cannot_be_stepped_by_trap_flag({code.begin(), code.size()});
    };
    EXPECT_TRUE(refused({0x9C}));
    EXPECT_TRUE(refused({0x66, 0x9D}));
    EXPECT_TRUE(refused({0x48, 0xCF}));
    EXPECT_TRUE(refused({0x8E, 0x17}));
    EXPECT_FALSE(refused({0x48, 0x8B, 0x05}));
    EXPECT_FALSE(refused({0x66, 0x66}));
}

}  // namespace
}  // namespace hvp::vmx
