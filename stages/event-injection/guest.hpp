// The guest of this stage: it tries what a processor outside VMX operation refuses, and looks at
// what its handlers get.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "hypervisor/arch/instructions.hpp"
#include "stages/shared/probes.hpp"

namespace hvp::event_injection {

/// What the processor pushes when it delivers an exception in 64-bit mode.
/// [SDM 3A 6.14.2 "64-Bit Mode Stack Frame"]
struct PushedFrame {
    std::uint64_t rip;
    std::uint64_t cs;
    std::uint64_t rflags;
    std::uint64_t rsp;
    std::uint64_t ss;
};

/// One instruction, and what the guest's own handler found.
struct Attempt {
    stages::Refused instruction{};
    stages::Place place{};
    std::uint64_t handlers{};  ///< how many times a handler ran: 1 is right
    std::uint64_t vector{};
    std::uint64_t error_code{};
    PushedFrame frame{};
};

/// What the guest found in Windows' way: the `__except` of a guest that runs on its thread's stack.
struct Verdict {
    stages::Place place{};
    std::uint64_t code{};     ///< of the exception, as Windows names it
    std::uint64_t address{};  ///< where Windows says it was
    std::uint64_t answer{};
};
inline constexpr std::uint64_t came_back = 0xAA;  ///< VMLAUNCH had no effect at all
inline constexpr std::uint64_t was_caught = 0xBB;

/// The thirteen VMX instructions, and two more that show whether there is VMX.
inline constexpr std::size_t vmx_instructions = 13;
inline constexpr std::size_t attempt_count = vmx_instructions + 2;

/// What goes between VMM and guest. It lies on the stack of DriverEntry.
struct Mailbox {
    Verdict verdict{};
    std::array<Attempt, attempt_count> attempts{};
    std::uint64_t cpuid_1_ecx{};
    std::uint64_t cr4{};
};

/// The guest's code. It goes through everything and asks the VMM to stop it.
///
/// Where    on a stack of the current thread: Windows looks for handlers nowhere else
[[noreturn]] void guest_main(void* mailbox);

/// Whether exactly one handler ran, and found what a processor outside VMX operation pushes: RIP at
/// the instruction, RF set, CS, SS and RSP as they were.
[[nodiscard]] bool is_as_outside_vmx(const Attempt& attempt);
[[nodiscard]] bool is_as_outside_vmx(const Verdict& verdict);
[[nodiscard]] bool hides_vmx(const Mailbox& mailbox);

}  // namespace hvp::event_injection
