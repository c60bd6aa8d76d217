// What a guest that tries instructions which exit puts into their registers.
#pragma once

#include <cstdint>

#include "hypervisor/exits/hypercall.hpp"
#include "hypervisor/vcpu/guest_registers.hpp"
#include "stages/shared/probes.hpp"

namespace hvp::tests {

/// Chosen values where the instruction needs them, the other registers as they are: a leaf of
/// CPUID, the MSRs that the VMM answers for, a ping, the CR3 that is loaded already.
inline void put_operands(vmx::GuestRegisters& registers, stages::Probe probe, std::uint64_t leaf,
                         std::uint64_t cr3) {
    using stages::Probe;
    using vmx::Register;
    switch (probe) {
        case Probe::cpuid:
            registers[Register::rax] = leaf;
            break;
        case Probe::rdmsr:
            registers[Register::rcx] = static_cast<std::uint32_t>(arch::Msr::feature_control);
            break;
        case Probe::wrmsr:
            registers[Register::rcx] = static_cast<std::uint32_t>(arch::Msr::efer);
            registers.set_edx_eax(arch::rdmsr(arch::Msr::efer));
            break;
        case Probe::vmcall:
            registers[Register::rax] = static_cast<std::uint64_t>(vmx::Hypercall::ping);
            break;
        case Probe::write_cr3:
            registers[Register::rax] = cr3;
            break;
        case Probe::hlt:
        case Probe::read_cr3:
            break;
    }
}

}  // namespace hvp::tests
