// What IA32_VMX_BASIC says about this processor's VMX operation.
#pragma once

#include <cstdint>

namespace hvp::vmx {

/// IA32_VMX_BASIC.  [SDM 3D A.1 "Basic VMX Information"]
///
/// All members have one underlying type: in Windows' layout a change of type opens a new word, and
/// everything behind the revision identifier would be read from beyond the MSR's value.
struct VmxBasic {
    std::uint64_t revision_identifier : 31 {};
    std::uint64_t always_zero : 1 {};
    std::uint64_t region_bytes : 13 {};  ///< for the VMXON region and each VMCS, at most 4096
    std::uint64_t reserved_47_45 : 3 {};
    std::uint64_t addresses_are_32_bits : 1 {};
    std::uint64_t dual_monitor : 1 {};
    std::uint64_t memory_type : 4 {};  ///< 6: write-back, 0: uncacheable
    std::uint64_t reports_string_io : 1 {};
    std::uint64_t has_true_controls : 1 {};
    /// A VM entry delivers a hardware exception with an error code or without one, whatever its
    /// vector is: so #CP, which is younger than the list of vectors, can have its own.
    std::uint64_t any_error_code : 1 {};
    std::uint64_t reserved_63_57 : 7 {};
};
static_assert(sizeof(VmxBasic) == sizeof(std::uint64_t));

inline constexpr std::uint64_t memory_type_write_back = 6;

}  // namespace hvp::vmx
