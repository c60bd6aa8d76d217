// Writing a word of controls: what we want, adjusted to what this processor allows.
#pragma once

#include <cstdint>
#include <expected>
#include <type_traits>

#include "hypervisor/arch/instructions.hpp"
#include "hypervisor/arch/msr.hpp"
#include "hypervisor/vmcs/controls.hpp"
#include "hypervisor/vmcs/current_vmcs.hpp"
#include "hypervisor/vmcs/vmx_basic.hpp"
#include "hypervisor/vmx/failure.hpp"

namespace hvp::vmx {

/// Writes one word of controls: what we want, adjusted to what this processor allows. Where it has
/// the TRUE capability MSRs we ask those, which leave more controls to our choice.
///
/// Returns  a Failure with the bits that were wanted and are not available
/// Source   [SDM 3D A.2 "Reserved Controls and Default Settings"]
[[nodiscard]] std::expected<void, Failure> write_adjusted(CurrentVmcs& vmcs, std::uint32_t encoding,
                                                          std::uint32_t wanted, arch::Msr plain,
                                                          arch::Msr true_capability);

/// The same, with the field's type checked.
template <typename F, typename Control>
[[nodiscard]] std::expected<void, Failure> write_controls(CurrentVmcs& vmcs, F,
                                                          arch::Flags<Control> wanted,
                                                          arch::Msr plain,
                                                          arch::Msr true_capability) {
    static_assert(std::is_same_v<typename F::Value, arch::Flags<Control>>);
    return write_adjusted(vmcs, F::encoding, wanted.raw(), plain, true_capability);
}

}  // namespace hvp::vmx
