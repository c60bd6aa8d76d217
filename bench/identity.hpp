// What an EPT takes that maps all of physical memory to itself: bytes of tables, and seconds on the
// host to build them, for several sizes of memory and of pages.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "hypervisor/ept/entry.hpp"

namespace hvp::bench {

/// One machine, and one size of the largest pages.
struct IdentityCost {
    std::uint64_t memory_gib{};
    ept::Level largest{};
    std::uint64_t table_bytes{};      ///< once for all processors
    std::uint64_t view_bytes{};       ///< for each view with one target
    std::optional<double> seconds{};  ///< nothing: too large to be built here, only counted
};

/// For 64 GiB, 512 GiB and 64 TiB, each with pages of up to 1 GByte, 2 MBytes and 4 KBytes; the
/// least time of up to three. The MTRRs are those of a machine whose first megabyte has fixed
/// ranges and whose devices lie between 3 and 4 GBytes.
[[nodiscard]] std::vector<IdentityCost> identity_costs();

}  // namespace hvp::bench
