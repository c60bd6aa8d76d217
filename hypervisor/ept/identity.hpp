// All of physical memory, devices included, mapped to itself: each page as large as the processor
// and the memory types allow.
//
// A page has one memory type, so a large one is right only where the MTRRs give all of it the same
// type. [SDM 3A 11.11.9 "Large Page Size Considerations"]. "Ignore PAT" stays clear: what the
// guest's own page tables say of caching still counts, as without EPT.
// [SDM 3C 28.2.6.2 "Memory Type Used for Translated Guest-Physical Addresses"]
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>

#include "hypervisor/arch/mtrr.hpp"
#include "hypervisor/ept/tables.hpp"

namespace hvp::ept {

/// The first address that is not mapped: 2 to the power of MAXPHYADDR, or of 48, which is all that
/// four levels of tables translate.
[[nodiscard]] constexpr std::uint64_t identity_end(const Limits& limits) {
    return 1ULL << (limits.physical_address_bits < 48 ? limits.physical_address_bits : 48);
}

/// How many table pages `map_identity` takes, the PML4 table included.
///
/// Returns  nothing, if they are more than `most`: MTRRs whose masks have holes can divide all of
///          memory into pages of 4 KBytes
[[nodiscard]] std::optional<std::size_t> identity_table_count(const arch::MtrrSnapshot& mtrrs,
                                                              const Limits& limits,
                                                              std::size_t most = 1U << 17);

/// Maps everything, with all rights, in tables that map nothing yet.
[[nodiscard]] std::expected<PendingInvalidation, EditError> map_identity(
    Tables& tables, const arch::MtrrSnapshot& mtrrs);

/// The result of `update_memory_types`.
struct [[nodiscard]] MemoryTypeUpdate {
    PendingInvalidation pending{};  ///< once for all edits
    bool complete{};                ///< false: no table was left, and all types are as before
};

/// Updates the memory types of an identity after MTRRs were changed from `before` to `after`; its
/// pages then have the sizes that `map_identity` would have chosen. Pinned pages stay. All types
/// are updated, or none.
///
/// Needs    a pool with room for the tables of both, since retired tables are free only when the
///          pending invalidation has been executed
/// Where    everywhere; the work is bounded by what the pool can hold
MemoryTypeUpdate update_memory_types(Tables& tables, const arch::MtrrSnapshot& before,
                                     const arch::MtrrSnapshot& after);

}  // namespace hvp::ept
