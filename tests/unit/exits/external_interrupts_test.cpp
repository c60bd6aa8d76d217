// External interrupts that exit: each reaches the guest once, as soon as it can be delivered.
#include <gtest/gtest.h>

#include "hypervisor/exits/dispatch.hpp"
#include "tests/unit/exits/exit_outcome.hpp"

namespace hvp::vmx {
namespace {

using arch::Rflags;

class Interrupts : public testing::Test {
protected:
    Interrupts() {
        arch::processor = {};
        frame_.owner = &processor_;
        use_exit_path(frame_, untraced_exits());
        processor_.ring = &ring_;
        vmcs_.write(pin_based_controls, PinControl::external_interrupt_exiting);
        vmcs_.write(exit_controls, ExitControl::acknowledge_interrupt_on_exit);
        take_interrupts(true);
    }

    void take_interrupts(bool yes) {
        vmcs_.write(guest_rflags, yes ? Rflags::always_one | arch::Flags{Rflags::interrupt_enable}
                                      : arch::Flags{Rflags::always_one});
    }
    /// Lets the exit happen. Returns whether the guest goes on.
    bool exit(ExitReason reason, InterruptionInformation event = {}) {
        vmcs_.write(exit_reason, {.basic_reason = number_of(reason)});
        vmcs_.write(exit_instruction_length, 1);
        vmcs_.write(exit_interruption_information, event);
        vmcs_.write(entry_interruption_information, {});
        return goes_on_after_exit(frame_);
    }
    bool interrupt(std::uint8_t vector) {
        return exit(ExitReason::external_interrupt, external_interrupt(vector));
    }
    [[nodiscard]] InterruptionInformation injected() const {
        return vmcs_.read(entry_interruption_information);
    }
    void expect_injected(std::uint32_t vector) {
        EXPECT_TRUE(injected().is(EventType::external_interrupt));
        EXPECT_EQ(injected().vector, vector);
    }
    void expect_window(bool open) {
        EXPECT_EQ(vmcs_.read(primary_processor_based_controls)
                      .has(PrimaryControl::interrupt_window_exiting),
                  open);
    }

    UncheckedVmcs vmcs_{};
    VmmFrame frame_{};
    VirtualProcessor processor_{};
    trace::Ring ring_{};
};

TEST_F(Interrupts, ComeAtOnceToAGuestThatCanTakeThem) {
    EXPECT_TRUE(interrupt(0x40));
    expect_injected(0x40);
    expect_window(false);
    EXPECT_FALSE(processor_.interrupt);
}

TEST_F(Interrupts, WaitForAWindowWhereTheGuestHasThemOff) {
    take_interrupts(false);
    EXPECT_TRUE(interrupt(0x40));
    EXPECT_EQ(injected().valid, 0U);
    expect_window(true);
    take_interrupts(true);
    EXPECT_TRUE(exit(ExitReason::interrupt_window));
    expect_injected(0x40);
    expect_window(false);
    EXPECT_FALSE(processor_.interrupt);
}

TEST_F(Interrupts, WaitDuringBlockingByStiAndMovSs) {
    for (const auto blocking :
         {Interruptibility::blocking_by_sti, Interruptibility::blocking_by_mov_ss}) {
        vmcs_.write(guest_interruptibility_state, blocking);
        EXPECT_TRUE(interrupt(0x40));
        EXPECT_EQ(injected().valid, 0U);
        expect_window(true);
    }
}

// Were it acknowledged, too, an EOI for another one would end its service, and it could come, and
// be acknowledged, twice. [SDM 3A 10.8.5 "Signaling Interrupt Servicing Completion"]
TEST_F(Interrupts, AreLeftToTheLocalApicWhileOneWaits) {
    const auto exiting = [&] {
        return vmcs_.read(pin_based_controls).has(PinControl::external_interrupt_exiting);
    };
    take_interrupts(false);
    EXPECT_TRUE(interrupt(0x41));
    EXPECT_FALSE(exiting());
    take_interrupts(true);
    EXPECT_TRUE(exit(ExitReason::interrupt_window));
    expect_injected(0x41);
    EXPECT_TRUE(exiting());
}

TEST_F(Interrupts, LetAnNmiGoFirst) {
    processor_.pending_nmis = 1;
    EXPECT_TRUE(interrupt(0x40));
    EXPECT_TRUE(injected().is(EventType::nmi));
    expect_window(true);
    EXPECT_TRUE(exit(ExitReason::interrupt_window));
    expect_injected(0x40);
}

// It would cause the same exit for ever.
TEST_F(Interrupts, ThatAreNotAcknowledgedEndTheGuest) {
    EXPECT_FALSE(exit(ExitReason::external_interrupt));
    EXPECT_EQ(processor_.guest_stop.why, StopReason::unhandled_detail);
}

TEST_F(Interrupts, WakeAGuestThatHalts) {
    EXPECT_TRUE(exit(ExitReason::hlt));
    EXPECT_EQ(vmcs_.read(guest_activity_state), ActivityState::hlt);
    EXPECT_EQ(injected().valid, 0U);
    EXPECT_TRUE(interrupt(0x40));
    expect_injected(0x40);
}

// `sti; hlt`: the interrupt came behind STI, and nothing else may ever wake the guest.
TEST_F(Interrupts, ThatWaitAlreadyWakeAGuestAsItHalts) {
    vmcs_.write(guest_interruptibility_state, Interruptibility::blocking_by_sti);
    EXPECT_TRUE(interrupt(0x40));
    EXPECT_TRUE(exit(ExitReason::hlt));
    expect_injected(0x40);
    EXPECT_EQ(vmcs_.read(guest_rip).raw(), 1U) << "its handler returns behind HLT";
}

}  // namespace
}  // namespace hvp::vmx
