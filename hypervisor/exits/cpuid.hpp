// CPUID: the processor's answer, but for what is different in a guest.
#pragma once

#include "hypervisor/arch/cpuid.hpp"
#include "hypervisor/vcpu/exit.hpp"

namespace hvp::vmx {

/// What a guest that asks for its VMM is told.
///
/// 40000000H and up are left to VMMs by convention. 40000001H's EAX names the interface; "Hv#1"
/// would be Microsoft's, and Windows would start to use it.
/// [Windows: Hypervisor Top Level Functional Specification]
inline constexpr std::uint32_t first_vmm_leaf = 0x4000'0000;
inline constexpr std::uint32_t last_vmm_leaf = 0x4000'0001;
inline constexpr arch::CpuidRegisters vmm_identity{
    .rax = last_vmm_leaf, .rbx = 0x6C50'5648, .rcx = 0x7267'7961, .rdx = 0x646E'756F};
static_assert(vmm_identity.rbx == ('H' | 'V' << 8 | 'P' << 16 | 'l' << 24));
static_assert(vmm_identity.rcx == ('a' | 'y' << 8 | 'g' << 16 | 'r' << 24));
static_assert(vmm_identity.rdx == ('o' | 'u' << 8 | 'n' << 16 | 'd' << 24));
inline constexpr std::uint32_t vmm_interface = 'H' | 'V' << 8 | 'P' << 16 | '1' << 24;

/// One bit of a CPUID answer mirrors CR4. We ask with the host's CR4 loaded, the guest means its
/// own. [SDM 3A 2.5 "Control Registers"]
[[nodiscard]] constexpr std::uint64_t mirrored(std::uint64_t answer, std::uint64_t bit, bool set) {
    return set ? answer | bit : answer & ~bit;
}

/// [SDM 3C 25.1.2 "Instructions That Cause VM Exits Unconditionally"],
/// [SDM 3C 31.8.5 "CPUID Emulation"]
template <VmcsAccess V>
Next on_cpuid(Exit<V> exit) {
    const std::uint32_t leaf = exit.registers().low(Register::rax);
    arch::CpuidRegisters answer{};
    if (leaf < first_vmm_leaf || leaf > first_vmm_leaf + 0xFF) {
        answer = arch::cpuid_registers(leaf, exit.registers().low(Register::rcx));
        if (leaf == 1) {
            // There is no VT-x for the guest, and there is a VMM.
            answer.rcx = (answer.rcx & ~arch::cpuid_1_ecx_vmx) | arch::cpuid_1_ecx_hypervisor;
            answer.rcx = mirrored(answer.rcx, arch::cpuid_1_ecx_osxsave,
                                  exit.vmcs.read(guest_cr4).has(arch::Cr4::os_xsave));
        } else if (leaf == 7) {
            answer.rcx = mirrored(answer.rcx, arch::cpuid_7_ecx_ospke,
                                  exit.vmcs.read(guest_cr4).has(arch::Cr4::protection_keys));
        }
    } else if (leaf == first_vmm_leaf) {
        answer = vmm_identity;
    } else if (leaf == last_vmm_leaf) {
        answer.rax = vmm_interface;
    }
    exit.registers()[Register::rax] = answer.rax;
    exit.registers()[Register::rbx] = answer.rbx;
    exit.registers()[Register::rcx] = answer.rcx;
    exit.registers()[Register::rdx] = answer.rdx;
    return Next::step_over;
}

}  // namespace hvp::vmx
