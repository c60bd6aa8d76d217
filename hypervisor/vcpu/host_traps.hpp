// Exceptions and NMIs while the VMM itself runs.
#pragma once

#include <cstddef>
#include <cstdint>

namespace hvp::vmx {

/// What entry.S and the processor push on a trap stack, lowest address first.
/// [SDM 3A 6.14.2 "64-Bit Mode Stack Frame"]
struct HostTrap {
    std::uint64_t r11;
    std::uint64_t r10;
    std::uint64_t r9;
    std::uint64_t r8;
    std::uint64_t rdx;
    std::uint64_t rcx;
    std::uint64_t rax;
    std::uint64_t vector;
    std::uint64_t error_code;  ///< 0 where the processor has none
    std::uint64_t rip;
    std::uint64_t cs;
    std::uint64_t rflags;
    std::uint64_t rsp;
    std::uint64_t ss;
};
static_assert(offsetof(HostTrap, vector) == 7 * 8, "entry.S");

/// Decides what becomes of a trap; IRETQ then goes to where `trap` says.
///
/// An NMI is counted for the guest, and the VMM goes on; where it was about to enter the guest, it
/// first asks for the exit that lets the guest have it. A machine check
/// is the guest's, or where the VMM cannot go on the host system's. Any other exception is a
/// mistake of ours: it is noted, and the VMM goes on where it leaves the guest, on its main stack.
void handle_host_trap(HostTrap* trap);

}  // namespace hvp::vmx
