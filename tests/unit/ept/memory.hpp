// Table pages in ordinary memory, for tests.
#pragma once

#include <vector>

#include "hypervisor/ept/tables.hpp"

namespace hvp::ept {

/// A pool, its pages, and what EPT is like on corei7_skylake_x.
struct PoolMemory {
    explicit PoolMemory(std::size_t count, std::uint64_t physical_start = 0x1234'5000)
        : pages(count),
          links(count),
          pool{pages, links, arch::HostPhysicalAddress{physical_start}} {}

    std::vector<Table> pages;
    std::vector<std::uint32_t> links;
    TablePool pool;
};

inline constexpr Capability all_capabilities{.execute_only = 1,
                                             .walk_length_4 = 1,
                                             .tables_write_back = 1,
                                             .pages_2_mb = 1,
                                             .pages_1_gb = 1,
                                             .invept = 1,
                                             .accessed_and_dirty = 1,
                                             .invept_single_context = 1,
                                             .invept_all_contexts = 1};
inline constexpr Limits all_limits{.capability = all_capabilities, .physical_address_bits = 46};

constexpr arch::GuestPhysicalAddress guest(std::uint64_t raw) {
    return arch::GuestPhysicalAddress{raw};
}
constexpr arch::HostPhysicalAddress host(std::uint64_t raw) {
    return arch::HostPhysicalAddress{raw};
}

inline constexpr std::uint64_t kb_4 = 1ULL << 12;
inline constexpr std::uint64_t mb_2 = 1ULL << 21;
inline constexpr std::uint64_t gb_1 = 1ULL << 30;
inline constexpr std::uint64_t gb_512 = 1ULL << 39;

}  // namespace hvp::ept
