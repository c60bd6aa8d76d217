// A guest that exits, on a scripted processor.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <cstddef>

#include "hypervisor/exits/dispatch.hpp"
#include "tests/unit/exits/exit_outcome.hpp"

namespace hvp::vmx {

using arch::Cr0;
using arch::Cr4;
using arch::Msr;
using arch::Rflags;

inline constexpr std::uint64_t rip = 0xFFFF'F801'0000'1000;

class ExitTest : public testing::Test {
protected:
    ExitTest() {
        arch::processor = {};
        arch::processor.msrs[Msr::efer] = 0xD01;
        frame_.owner = &processor_;
        use_exit_path(frame_, untraced_exits());
        processor_.ring = &ring_;
        processor_.cr0_ones = arch::Flags<Cr0>{0x8000'0021};
        processor_.cr4_ones = Cr4::vmx_enable;
        processor_.physical_address_bits = 40;
        vmcs_.write(guest_rip, arch::GuestLinearAddress{rip});
        vmcs_.write(guest_rflags, Rflags::always_one);
        vmcs_.write(guest_cr0, arch::Flags<Cr0>{0x8005'0033});
        vmcs_.write(guest_cs_rights, {.long_mode = 1});
    }

    /// Lets the exit happen. Returns whether the guest goes on.
    bool exit(ExitReason reason, std::uint32_t length = 2, std::uint64_t qualification = 0) {
        vmcs_.write(exit_reason, {.basic_reason = number_of(reason)});
        vmcs_.write(exit_instruction_length, length);
        vmcs_.write(exit_qualification, qualification);
        vmcs_.write(entry_interruption_information, {});
        return goes_on_after_exit(frame_);
    }
    [[nodiscard]] std::uint64_t moved() const { return vmcs_.read(guest_rip).raw() - rip; }
    [[nodiscard]] InterruptionInformation injected() const {
        return vmcs_.read(entry_interruption_information);
    }
    void expect_fault(Vector vector) {
        EXPECT_EQ(moved(), 0U) << "a fault leaves RIP at the instruction";
        EXPECT_TRUE(injected().is(EventType::hardware_exception));
        EXPECT_EQ(injected().vector, static_cast<std::uint32_t>(vector));
        EXPECT_TRUE(vmcs_.read(guest_rflags).has(Rflags::resume));
    }

    UncheckedVmcs vmcs_{};
    VmmFrame frame_{};
    GuestRegisters& registers_ = frame_.registers;
    VirtualProcessor processor_{};
    trace::Ring ring_{};
};

}  // namespace hvp::vmx
