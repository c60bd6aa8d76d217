// Exceptions that exit: what of them the guest gets, and in what state.
#include "hypervisor/events/delivery.hpp"

#include <gtest/gtest.h>

#include "hypervisor/exits/dispatch.hpp"
#include "tests/unit/exits/exit_outcome.hpp"

namespace hvp::vmx {
namespace {

class Reflected : public testing::Test {
protected:
    Reflected() {
        arch::processor = {};
        frame_.owner = &processor_;
        use_exit_path(frame_, untraced_exits());
        vmcs_.write(guest_rip, arch::GuestLinearAddress{0x1000});
        vmcs_.write(guest_rflags, arch::Rflags::always_one);
        vmcs_.write(guest_cr0, arch::Cr0::protection_enable | arch::Cr0::paging);
        vmcs_.write(exit_instruction_length, 2);
    }
    bool exit(const InterruptionInformation& event, std::uint64_t qualification = 0,
              std::uint32_t error_code = 0) {
        vmcs_.write(exit_reason, {.basic_reason = number_of(ExitReason::exception_or_nmi)});
        vmcs_.write(exit_interruption_information, event);
        vmcs_.write(exit_interruption_error_code, error_code);
        vmcs_.write(exit_qualification, qualification);
        vmcs_.write(entry_interruption_information, {});
        return goes_on_after_exit(frame_);
    }
    void during(const InterruptionInformation& event, std::uint32_t error_code = 0) {
        vmcs_.write(idt_vectoring_information, event);
        vmcs_.write(idt_vectoring_error_code, error_code);
    }
    [[nodiscard]] std::uint32_t injected() const {
        return std::bit_cast<std::uint32_t>(vmcs_.read(entry_interruption_information));
    }

    UncheckedVmcs vmcs_{};
    VmmFrame frame_{};
    VirtualProcessor processor_{};
};

TEST_F(Reflected, APageFaultHasItsAddressInCr2) {
    EXPECT_TRUE(exit(exception(Vector::page_fault), 0x1234'5678, 7));
    EXPECT_EQ(injected(), 0x8000'0B0EU);
    EXPECT_EQ(vmcs_.read(entry_exception_error_code), 7U);
    EXPECT_EQ(arch::processor.registers["CR2"], 0x1234'5678U);
    EXPECT_EQ(vmcs_.read(guest_rip).raw(), 0x1000U) << "the exit has saved what is to be pushed";
    EXPECT_TRUE(vmcs_.read(guest_rflags).has(arch::Rflags::resume)) << "it is a fault";
}

// [SDM 3C 27.1 "Architectural State Before a VM Exit"]: the exit has left DR6, DR7.GD and the rest
// to us.
TEST_F(Reflected, ADebugExceptionHasItsCausesInDr6) {
    arch::processor.registers["DR6"] = 0xFFFF'0FF8;
    const arch::Flags<arch::Dr7> another_bit_of_dr7{0x400};
    const arch::Flags<arch::DebugControl> another_bit_of_debugctl{0x40};
    vmcs_.write(guest_dr7, another_bit_of_dr7 | arch::Dr7::general_detect);
    vmcs_.write(guest_debugctl, another_bit_of_debugctl | arch::DebugControl::last_branch_record |
                                    arch::DebugControl::branch_trap);
    EXPECT_TRUE(exit(exception(Vector::debug), 0x4002));
    EXPECT_EQ(injected(), 0x8000'0301U);
    EXPECT_EQ(arch::processor.registers["DR6"], 0xFFFF'4FF2U) << "B3 was of an earlier one";
    EXPECT_EQ(vmcs_.read(guest_dr7), another_bit_of_dr7);
    EXPECT_EQ(vmcs_.read(guest_debugctl), another_bit_of_debugctl);
    EXPECT_EQ(vmcs_.read(guest_rflags), arch::Rflags::always_one) << "it may be a trap";
}

TEST_F(Reflected, AnInstructionHasItsLength) {
    EXPECT_TRUE(exit({.vector = 3, .type = 6, .valid = 1}));
    EXPECT_EQ(injected(), 0x8000'0603U);
    EXPECT_EQ(vmcs_.read(entry_instruction_length), 2U);
}

TEST_F(Reflected, Bit12IsNotForTheEntry) {
    InterruptionInformation event = exception(Vector::general_protection);
    event.nmi_unblocking = 1;
    EXPECT_TRUE(exit(event, 0, 0x18));
    EXPECT_EQ(injected(), 0x8000'0B0DU);
}

TEST_F(Reflected, TwoBecomeADoubleFault) {
    during(exception(Vector::page_fault), 2);
    EXPECT_TRUE(exit(exception(Vector::page_fault), 0x2000, 3));
    EXPECT_EQ(injected(), 0x8000'0B08U);
    EXPECT_EQ(vmcs_.read(entry_exception_error_code), 0U);
    EXPECT_EQ(arch::processor.registers["CR2"], 0x2000U) << "of the second one";
}

TEST_F(Reflected, ThreeEndTheGuest) {
    during(exception(Vector::double_fault));
    EXPECT_FALSE(exit(exception(Vector::stack_fault)));
    EXPECT_EQ(processor_.guest_stop.why, StopReason::triple_fault);
    EXPECT_EQ(injected(), 0U);
}

TEST_F(Reflected, AFaultOfAnInterruptsDeliveryIsAFault) {
    during({.vector = 0xD1, .type = 0, .valid = 1});
    EXPECT_TRUE(exit(exception(Vector::segment_not_present), 0, 0x69B));
    EXPECT_EQ(injected(), 0x8000'0B0BU);
    EXPECT_EQ(vmcs_.read(entry_exception_error_code), 0x69BU);
}

// [SDM 3D A.1 "Basic VMX Information"]: #CP is not in the list of those that have an error code.
TEST_F(Reflected, AControlProtectionHasItsErrorCodeWhereTheProcessorTakesIt) {
    processor_.any_error_code = true;
    during({.vector = 21, .type = 3, .has_error_code = 1, .valid = 1}, 3);
    EXPECT_TRUE(exit({.vector = 14, .type = 3, .has_error_code = 1, .valid = 1}, 0x1000, 2));
    EXPECT_EQ(injected(), 0x8000'0B0EU);
    during({});
    EXPECT_TRUE(exit({.vector = 21, .type = 3, .has_error_code = 1, .valid = 1}, 0, 3));
    EXPECT_EQ(injected(), 0x8000'0B15U);
    EXPECT_EQ(vmcs_.read(entry_exception_error_code), 3U);
    processor_.any_error_code = false;
    EXPECT_FALSE(exit({.vector = 21, .type = 3, .has_error_code = 1, .valid = 1}, 0, 3));
    EXPECT_EQ(processor_.guest_stop.why, StopReason::event_refused);
}

TEST_F(Reflected, WhatTheEntryWouldRefuseEndsTheGuest) {
    EXPECT_FALSE(exit({.vector = 32, .type = 3, .valid = 1}));
    EXPECT_EQ(processor_.guest_stop.why, StopReason::event_refused);
    EXPECT_EQ(processor_.guest_stop.refused_event.vector, 32U);
}

}  // namespace
}  // namespace hvp::vmx
