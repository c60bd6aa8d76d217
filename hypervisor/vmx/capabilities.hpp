// May this processor enter VMX operation, and what must its control registers be for that?
#pragma once

#include <cstdint>
#include <expected>

#include "hypervisor/arch/control_registers.hpp"
#include "hypervisor/vmcs/vmx_basic.hpp"
#include "hypervisor/vmx/failure.hpp"

namespace hvp::vmx {

/// What VMX operation is like on this processor, and what it wants of CR0 and CR4. What it wants to
/// be 0 there is 0 already: `probe_vmx` has looked.
struct VmxCapabilities {
    VmxBasic basic;
    arch::Flags<arch::Cr0> cr0_ones;  ///< the bits that must be 1 in VMX operation
    arch::Flags<arch::Cr4> cr4_ones;  ///< the same; CR4.VMXE is one of them
};

/// Looks at everything that VMXON depends on.
///
/// VMXON with a wrong IA32_FEATURE_CONTROL, CR0 or CR4 does not fail with an answer: it raises #GP.
/// So all is looked at before, in an order in which no look can fault: an MSR that belongs to VT-x
/// is read only after CPUID has promised it. Where firmware has left IA32_FEATURE_CONTROL unlocked,
/// VT-x is enabled and the register locked; that cannot be undone until the next reset.
///
/// Where    CPL 0, the thread pinned to its processor.
/// Source   [SDM 3C 23.6 "Discovering Support for VMX"],
///          [SDM 3C 23.7 "Enabling and Entering VMX Operation"]
[[nodiscard]] std::expected<VmxCapabilities, Failure> probe_vmx();

}  // namespace hvp::vmx
