// VMX operation and a current VMCS: both are entered by functions, and left by destructors.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <utility>

#include "hypervisor/arch/address.hpp"
#include "hypervisor/arch/instructions.hpp"
#include "hypervisor/vmcs/current_vmcs.hpp"
#include "hypervisor/vmx/failure.hpp"

namespace hvp::vmx {

/// A VMX instruction failed; the VM-instruction error number is read if there is a current VMCS.
/// [SDM 3C 30.2 "Conventions"]
[[nodiscard, gnu::noinline]] inline std::unexpected<Failure> instruction_failed(
    const Explanation& why, arch::VmxResult result, std::uint32_t number = 0) {
    return std::unexpected{Failure{.kind = FailureKind::instruction_failed,
                                   .result = result,
                                   .error_number = error_number_of(result),
                                   .why = &why,
                                   .number = number}};
}

/// VMX operation of this processor: VMXOFF on destruction.
class VmxOperation {
public:
    /// Needs    CR0 and CR4 as `probe_vmx` says; the region begins with the revision identifier.
    /// Where    The processor that is to enter, interrupts off.
    [[nodiscard, gnu::always_inline]] static std::expected<VmxOperation, Failure> enter(
        arch::HostPhysicalAddress region) {
        const arch::VmxResult result = arch::vmxon(region);
        if (result != arch::VmxResult::succeed) {
            static constexpr Explanation why{
                .step = "VMXON",
                .rule = {"3C", "24.11.5", "VMXON Region"},
                .remedy =
                    "the region must be 4-KByte aligned and start with the revision "
                    "identifier, bit 31 clear",
            };
            return instruction_failed(why, result);
        }
        return VmxOperation{};
    }
    VmxOperation(VmxOperation&& other) noexcept : inside_{std::exchange(other.inside_, false)} {}
    VmxOperation& operator=(VmxOperation&&) = delete;
    ~VmxOperation() {
        if (inside_) {
            // It fails only under the dual-monitor treatment of SMIs, which we never activate.
            static_cast<void>(arch::vmxoff());
        }
    }

    /// The processor has left it already.
    void release() { inside_ = false; }

private:
    VmxOperation() = default;
    bool inside_{true};
};

/// A VMCS that is current on this processor.
class LoadedVmcs {
public:
    /// Needs    The region begins with the revision identifier.
    /// Where    VMX root operation
    [[nodiscard, gnu::always_inline]] static std::expected<LoadedVmcs, Failure> load(
        arch::HostPhysicalAddress region) {
        // VMCLEAR also initialises what the processor keeps about a VMCS outside the fields that
        // we can write, such as its launch state.  [SDM 3C 24.11.3 "Initializing a VMCS"]
        arch::VmxResult result = arch::vmclear(region);
        if (result == arch::VmxResult::succeed) {
            result = arch::vmptrld(region);
        }
        if (result != arch::VmxResult::succeed) {
            static constexpr Explanation why{
                .step = "VMCLEAR and VMPTRLD",
                .rule = {"3C", "24.2", "Format of the VMCS Region"},
                .remedy =
                    "the region must be 4-KByte aligned and start with the revision identifier",
            };
            return instruction_failed(why, result);
        }
        return LoadedVmcs{region};
    }
    LoadedVmcs(LoadedVmcs&& other) noexcept : region_{std::exchange(other.region_, std::nullopt)} {}
    LoadedVmcs& operator=(LoadedVmcs&&) = delete;
    ~LoadedVmcs() {
        if (region_) {
            // Until VMCLEAR the processor may cache parts of the VMCS and write them to the region
            // later, when the memory has another owner.
            // [SDM 3C 24.11.1 "Software Use of Virtual-Machine Control Structures"]
            static_cast<void>(arch::vmclear(*region_));
        }
    }

    /// It is not current any more.
    void release() { region_.reset(); }

private:
    explicit LoadedVmcs(arch::HostPhysicalAddress region) : region_{region} {}
    std::optional<arch::HostPhysicalAddress> region_;
};

}  // namespace hvp::vmx
