// Giving a guest an EPT.
#pragma once

#include <expected>

#include "hypervisor/ept/misconfiguration.hpp"
#include "hypervisor/ept/pointer.hpp"
#include "hypervisor/vmx/failure.hpp"

namespace hvp::vmx {

/// Looks whether this processor has EPT, and all that ours need of it.
///
/// Returns  what its entries may hold; or a Failure with the bit that is missing
/// Where    behind `check_support`
/// Source   [SDM 3D A.3.3 "Secondary Processor-Based VM-Execution Controls"],
///          [SDM 3D A.10 "VPID and EPT Capabilities"]
[[nodiscard]] std::expected<ept::Limits, Failure> check_ept_support();

/// Adds the EPT to the current VMCS: the guest's physical addresses are translated from now on.
///
/// Where    behind `write_vmcs`
/// Source   [SDM 3C 24.6.11 "Extended-Page-Table Pointer (EPTP)"]
[[nodiscard]] std::expected<void, Failure> enable_ept(ept::Pointer pointer);

}  // namespace hvp::vmx
