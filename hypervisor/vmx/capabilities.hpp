// May this processor enter VMX operation, and what must its control registers be for that?
#pragma once

#include <cstdint>
#include <expected>

#include "hypervisor/arch/control_registers.hpp"
#include "hypervisor/vmcs/vmx_basic.hpp"
#include "hypervisor/vmx/failure.hpp"

namespace hvp::vmx {

/// What VMX operation requires on this processor of VMX regions, of CR0 and of CR4. Bits that must
/// be 0 there are 0: `probe_vmx` has checked that.
struct VmxCapabilities {
    VmxBasic basic;
    arch::Flags<arch::Cr0> cr0_ones;  ///< the bits that must be 1 in VMX operation
    arch::Flags<arch::Cr4> cr4_ones;  ///< the same; CR4.VMXE is one of them
};

/// Checks everything that VMXON depends on.
///
/// VMXON with a wrong IA32_FEATURE_CONTROL, CR0 or CR4 does not return VMfail: it raises #GP. So
/// all are checked before, in an order in which no check can fault: an MSR of VT-x is read only
/// after CPUID has reported VT-x. If firmware has left IA32_FEATURE_CONTROL unlocked, VT-x is
/// enabled and the register locked; that cannot be undone until the next reset.
///
/// Where    CPL 0, the thread pinned to its processor.
/// Source   [SDM 3C 23.6 "Discovering Support for VMX"],
///          [SDM 3C 23.7 "Enabling and Entering VMX Operation"]
[[nodiscard]] std::expected<VmxCapabilities, Failure> probe_vmx();

/// For a VMM with page tables of its own, which have four levels, and for one that walks its
/// guest's: with CR4.LA57 the processor would walk five.
///
/// Where    everywhere
/// Source   [SDM 3A 4.5 "4-Level Paging and 5-Level Paging"]
[[nodiscard]] std::expected<void, Failure> check_paging_levels();

/// For a guest that runs with interrupts on, whose handlers are the host system's: under a
/// hypervisor with Microsoft's interface these end an interrupt by an MSR of that hypervisor, and
/// send others by hypercalls. The VMM's guest has neither, and its first interrupt would be its
/// last.
///
/// Returns  a Failure under "Hv#1", which Windows and Linux make use of
/// Where    everywhere
/// Source   [Windows: Hypervisor Top Level Functional Specification]
[[nodiscard]] std::expected<void, Failure> check_no_enlightenments();

}  // namespace hvp::vmx
