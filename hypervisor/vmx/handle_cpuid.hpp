// CPUID: the processor's answer, but for what is different in a guest.
#pragma once

#include "hypervisor/vmx/exit.hpp"

namespace hvp::vmx {

/// What a guest that asks for its VMM is told.
///
/// 40000000H and up are left to VMMs by convention. 40000001H's EAX names the interface; "Hv#1"
/// would be Microsoft's, and Windows would start to use it.
/// [Windows: Hypervisor Top Level Functional Specification]
inline constexpr std::uint32_t first_vmm_leaf = 0x4000'0000;
inline constexpr std::uint32_t last_vmm_leaf = 0x4000'0001;
inline constexpr arch::CpuidResult vmm_identity{
    .eax = last_vmm_leaf, .ebx = 0x6C50'5648, .ecx = 0x7267'7961, .edx = 0x646E'756F};
static_assert(vmm_identity.ebx == ('H' | 'V' << 8 | 'P' << 16 | 'l' << 24));
static_assert(vmm_identity.ecx == ('a' | 'y' << 8 | 'g' << 16 | 'r' << 24));
static_assert(vmm_identity.edx == ('o' | 'u' << 8 | 'n' << 16 | 'd' << 24));
inline constexpr std::uint32_t vmm_interface = 'H' | 'V' << 8 | 'P' << 16 | '1' << 24;

/// Bits of CPUID.1:ECX and CPUID.7:ECX that a guest must not see as they are here.
inline constexpr std::uint32_t cpuid_1_ecx_vmx = 1U << 5;
inline constexpr std::uint32_t cpuid_1_ecx_osxsave = 1U << 27;
inline constexpr std::uint32_t cpuid_1_ecx_hypervisor = 1U << 31;
inline constexpr std::uint32_t cpuid_7_ecx_ospke = 1U << 4;

/// One bit of a CPUID answer mirrors CR4. We ask with the host's CR4 loaded, the guest means its
/// own. [SDM 3A 2.5 "Control Registers"]
[[nodiscard]] constexpr std::uint32_t mirrored(std::uint32_t answer, std::uint32_t bit, bool set) {
    return set ? answer | bit : answer & ~bit;
}

/// [SDM 3C 25.1.2 "Instructions That Cause VM Exits Unconditionally"],
/// [SDM 3C 31.8.5 "CPUID Emulation"]
template <VmcsAccess V>
Next on_cpuid(Exit<V>& exit) {
    const std::uint32_t leaf = exit.registers.low(Register::rax);
    exit.detail = leaf;
    arch::CpuidResult answer{};
    if (leaf >= first_vmm_leaf && leaf <= first_vmm_leaf + 0xFF) {
        if (leaf == first_vmm_leaf) {
            answer = vmm_identity;
        } else if (leaf == last_vmm_leaf) {
            answer.eax = vmm_interface;
        }
    } else {
        answer = arch::cpuid(leaf, exit.registers.low(Register::rcx));
        if (leaf == 1) {
            // There is no VT-x for the guest, and there is a VMM.
            answer.ecx = (answer.ecx & ~cpuid_1_ecx_vmx) | cpuid_1_ecx_hypervisor;
            answer.ecx = mirrored(answer.ecx, cpuid_1_ecx_osxsave,
                                  exit.vmcs.read(guest_cr4).has(arch::Cr4::os_xsave));
        } else if (leaf == 7) {
            answer.ecx = mirrored(answer.ecx, cpuid_7_ecx_ospke,
                                  exit.vmcs.read(guest_cr4).has(arch::Cr4::protection_keys));
        }
    }
    // CPUID clears the upper halves.
    exit.registers[Register::rax] = answer.eax;
    exit.registers[Register::rbx] = answer.ebx;
    exit.registers[Register::rcx] = answer.ecx;
    exit.registers[Register::rdx] = answer.edx;
    return Next::step_over;
}

}  // namespace hvp::vmx
