// The EPT pointer: the VMCS field that selects the EPT of a guest.
#pragma once

#include <cstdint>

#include "hypervisor/arch/address.hpp"

namespace hvp::ept {

/// EPTP.  [SDM 3C 24.6.11 "Extended-Page-Table Pointer (EPTP)", Table 24-8]
struct Pointer {
    std::uint64_t tables_memory_type : 3 {};  ///< 0 uncacheable, 6 write-back
    std::uint64_t walk_length_minus_1 : 3 {};
    std::uint64_t accessed_and_dirty : 1 {};
    std::uint64_t reserved_11_7 : 5 {};
    std::uint64_t frame : 40 {};  ///< of the PML4 table
    std::uint64_t reserved_63_52 : 12 {};
};
static_assert(sizeof(Pointer) == sizeof(std::uint64_t));

/// The pointer to our tables: write-back, four levels, no accessed and dirty flags.
///
/// With the flags on, the processor treats its reads of the guest's own page tables as writes, too:
/// if the EPT makes such a page table read-only, every access through it is an EPT violation.
/// [SDM 3C 28.2.4 "Accessed and Dirty Flags for EPT"]
[[nodiscard]] constexpr Pointer pointer_to(arch::HostPhysicalAddress pml4) {
    return {.tables_memory_type = 6,
            .walk_length_minus_1 = 3,
            .accessed_and_dirty = 0,
            .frame = pml4.raw() / arch::page_bytes};
}

}  // namespace hvp::ept
