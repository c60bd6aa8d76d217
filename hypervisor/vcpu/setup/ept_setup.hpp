// Giving a guest an EPT.
#pragma once

#include <expected>

#include "hypervisor/ept/misconfiguration.hpp"
#include "hypervisor/ept/pointer.hpp"
#include "hypervisor/vcpu/virtual_processor.hpp"
#include "hypervisor/vmx/failure.hpp"

namespace hvp::vmx {

/// Looks whether this processor has EPT, and all that ours need of it.
///
/// Returns  what its entries may hold; or a Failure with the bit that is missing
/// Where    after `probe_vmx`
/// Source   [SDM 3D A.3.3 "Secondary Processor-Based VM-Execution Controls"],
///          [SDM 3D A.10 "VPID and EPT Capabilities"]
[[nodiscard]] std::expected<ept::Limits, Failure> check_ept_support();

/// Adds the EPT to the current VMCS: the guest's physical addresses are translated from now on.
///
/// Where    after `write_vmcs`
/// Source   [SDM 3C 24.6.11 "Extended-Page-Table Pointer (EPTP)"]
[[nodiscard]] std::expected<void, Failure> enable_ept(ept::Pointer pointer);

/// Lets the guest have CR0.PE = 0 and CR0.PG = 0, if the processor can: real mode, protected mode
/// without paging, and virtual-8086 mode. It leaves and enters long mode by itself, so IA32_EFER is
/// the guest's from now on and is switched at each entry and exit.
///
/// Returns  whether it may now
/// Where    after `enable_ept`
/// Source   [SDM 3C 25.6 "Unrestricted Guests"], [SDM 3C 31.2.1 "Using Unrestricted Guest Mode"]
[[nodiscard]] std::expected<bool, Failure> enable_unrestricted_guest(VirtualProcessor& processor);

/// Gives the current VMCS a VPID, if the processor has them and can invalidate one: then
/// translations survive entries and exits. What an earlier guest with this VPID has left is
/// forgotten.
///
/// Returns  whether it has one now
/// Where    after `enable_ept`
/// Source   [SDM 3C 24.6.12 "Virtual-Processor Identifier (VPID)"]
[[nodiscard]] std::expected<bool, Failure> enable_vpid(VirtualProcessor& processor,
                                                       const ept::Capability& capability,
                                                       std::uint16_t vpid);

/// Lets the processor note which pages the guest writes to for the first time, if it can.
///
/// Needs    accessed and dirty flags on in the EPT pointer; `log`: a page
/// Returns  whether it does
/// Where    after `enable_ept`
/// Source   [SDM 3C 28.2.5 "Page-Modification Logging"]
[[nodiscard]] std::expected<bool, Failure> enable_page_modification_log(
    VirtualProcessor& processor, arch::HostPhysicalAddress log);

}  // namespace hvp::vmx
