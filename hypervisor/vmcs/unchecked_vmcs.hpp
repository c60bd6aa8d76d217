// The current VMCS while an exit is handled.
#pragma once

#include <bit>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "hypervisor/arch/instructions.hpp"
#include "hypervisor/vmcs/fields.hpp"
#include "hypervisor/vmcs/vmcs.hpp"

namespace hvp::vmx {

/// The VMCS has just caused an exit, so it is current, and an access to a field that every
/// processor has cannot fail: nothing is checked.
///
/// Where    VMX root operation, in an exit
class UncheckedVmcs {
public:
    template <typename F>
    [[nodiscard, gnu::always_inline]] typename F::Value read(F) const {
        const std::uint64_t value = arch::vmread_unchecked(F::encoding);
        // VMREAD clears what is above the field's width; the compiler need not do it again.
        // [SDM 3C 24.11.2 "VMREAD, VMWRITE, and Encodings of VMCS Fields"]
        constexpr std::uint64_t largest = std::numeric_limits<typename F::Raw>::max();
        [[assume(value <= largest)]];
        return std::bit_cast<typename F::Value>(static_cast<typename F::Raw>(value));
    }
    /// One of a row of fields, as of the eight segment registers.
    template <typename F>
    [[nodiscard]] typename F::Value read(F, SegmentIndex segment) const {
        return std::bit_cast<typename F::Value>(
            static_cast<typename F::Raw>(arch::vmread_unchecked(nth(F{}, segment))));
    }
    template <typename F>
    [[gnu::always_inline]] void write(F, std::type_identity_t<typename F::Value> value) const {
        arch::vmwrite_unchecked(F::encoding, std::bit_cast<typename F::Raw>(value));
    }
};
static_assert(Vmcs<UncheckedVmcs>);

}  // namespace hvp::vmx
