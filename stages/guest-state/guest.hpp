// The guest of this stage: ordinary code of the driver that goes through exits, and looks at its
// registers after each.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "hypervisor/vcpu/guest_registers.hpp"
#include "stages/shared/probes.hpp"

namespace hvp::guest_state {

/// One instruction that causes an exit, and what the guest saw of it.
struct Step {
    stages::Probe instruction{};
    /// Which registers the instruction takes values from: these we choose, the others are random.
    std::uint64_t rax{};
    std::uint64_t rcx{};

    vmx::GuestRegisters before{};
    vmx::GuestRegisters after{};
};

/// Eleven exits of six reasons; the last one, by which the guest ends itself, is not a step.
inline constexpr std::size_t step_count = 10;
using Steps = std::array<Step, step_count>;

/// What goes between VMM and guest. It lies on the stack of DriverEntry; without EPT the
/// guest uses the same page tables and finds it at the same address.
struct Mailbox {
    std::uint64_t seed{};  ///< for the values of the registers
    Steps steps{};
    std::uint64_t steps_done{};
};

/// The steps, with their chosen values.
[[nodiscard]] Steps plan();

/// The guest's code. It runs through the steps and asks the VMM to stop it.
[[noreturn]] void guest_main(void* mailbox);

/// Whether every register that the instruction does not write is as it was.
[[nodiscard]] bool registers_kept(const Step& step);

/// Whether the instruction's results are what this VMM promises.
[[nodiscard]] bool answered_right(const Step& step);

}  // namespace hvp::guest_state
