// The instructions that raise #UD in a guest unless a VM-execution control gives them to it.
//
// A system that CPUID tells of them uses them, in interrupt handlers too: Windows reads the time
// with RDTSCP. Where the control is missing the launch looks perfect, and a clock tick later comes
// a bugcheck. So a guest gets what the processor can give, and CPUID tells it of nothing else.
#pragma once

#include <array>
#include <cstdint>

#include "hypervisor/vmcs/controls.hpp"
#include "hypervisor/vmcs/current_vmcs.hpp"

namespace hvp::vmx {

/// The registers of CPUID's answer.
enum class CpuidRegister : std::uint8_t { eax, ebx, ecx, edx };

/// Where CPUID says that the instructions exist, and the control without which they do not.
struct GuestInstructions {
    std::uint32_t leaf{};
    std::uint32_t subleaf{};
    CpuidRegister answer{};
    std::uint32_t bit{};
    arch::Flags<SecondaryControl> needs{};  ///< none: nothing gives them to our guests
};

/// [SDM 3C 25.3 "Changes to Instruction Behavior in VMX Non-Root Operation"]; RDPID, TPAUSE, UMWAIT,
/// PCONFIG, RDMSRLIST and WRMSRLIST are newer than our edition.
inline constexpr auto guest_instructions = std::to_array<GuestInstructions>({
    {0x8000'0001, 0, CpuidRegister::edx, 27, SecondaryControl::enable_rdtscp},
    {7, 0, CpuidRegister::ecx, 22, SecondaryControl::enable_rdtscp},  // RDPID
    {7, 0, CpuidRegister::ebx, 10, SecondaryControl::enable_invpcid},
    {0xD, 1, CpuidRegister::eax, 3, SecondaryControl::enable_xsaves},
    {7, 0, CpuidRegister::ecx, 5, SecondaryControl::enable_user_wait_and_pause},
    {7, 0, CpuidRegister::edx, 18, SecondaryControl::enable_pconfig},
    {7, 1, CpuidRegister::eax, 27, {}},  // RDMSRLIST, WRMSRLIST: a tertiary control
});

/// What our guests get of them. Not PCONFIG: it programs keys of memory encryption for the whole
/// machine.
inline constexpr auto instructions_for_guests =
    SecondaryControl::enable_rdtscp | SecondaryControl::enable_invpcid |
    SecondaryControl::enable_xsaves | SecondaryControl::enable_user_wait_and_pause;

/// Activates the secondary controls where the processor has them, with those of
/// `instructions_for_guests` that it allows and with no others. XSAVES of any state does not exit.
///
/// Where    VMX root operation, the primary controls written
void give_instructions(CurrentVmcs& vmcs);

}  // namespace hvp::vmx
