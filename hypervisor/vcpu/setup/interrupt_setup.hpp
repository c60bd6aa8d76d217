// The controls of a VMM that takes external interrupts away from its guest.
#pragma once

#include <expected>

#include "hypervisor/vmx/failure.hpp"

namespace hvp::vmx {

/// Adds to the current VMCS that external interrupts exit, acknowledged: the VMM gives them to the
/// guest (exits/external_interrupts.hpp), and HLT makes the guest sleep. The guest has the local
/// APIC.
///
/// Where    after `write_vmcs`
/// Source   [SDM 3C 24.6.1 "Pin-Based VM-Execution Controls"], [SDM 3C 24.7.1 "VM-Exit Controls"]
[[nodiscard]] std::expected<void, Failure> enable_interrupt_exiting();

}  // namespace hvp::vmx
