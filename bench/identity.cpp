// Builds identities, and looks at the clock.
#include "bench/identity.hpp"

#include <algorithm>
#include <chrono>
#include <limits>

#include "hypervisor/ept/identity.hpp"
#include "hypervisor/hooks/split_views.hpp"

namespace hvp::bench {
namespace {

using ept::Level;

/// More tables than this are not built: they would be half a gigabyte.
constexpr std::size_t most_tables_built = 1U << 17;

arch::MtrrSnapshot mtrrs_of(std::uint32_t physical_address_bits) {
    const std::uint64_t all = (1ULL << physical_address_bits) - 1;
    const std::uint64_t gb = ept::bytes_of_entry(Level::pointers);
    constexpr std::uint64_t valid = 1U << 11;
    arch::MtrrSnapshot mtrrs{
        .capabilities = {.variable_count = 10, .fixed_ranges = 1, .write_combining = 1},
        .default_type = {.type = 6, .fixed_enabled = 1, .enabled = 1}};
    mtrrs.fixed.fill(0x0606060606060606);
    mtrrs.fixed[2] = 0;  // video memory
    mtrrs.variable[0] = {.base = 3 * gb, .mask = (all & ~(gb - 1)) | valid};
    return mtrrs;
}

ept::Limits limits_of(std::uint32_t physical_address_bits, Level largest) {
    return {.capability = {.execute_only = 1,
                           .walk_length_4 = 1,
                           .tables_write_back = 1,
                           .pages_2_mb = largest >= Level::directory ? 1U : 0U,
                           .pages_1_gb = largest >= Level::pointers ? 1U : 0U},
            .physical_address_bits = physical_address_bits};
}

double seconds_to_build(const arch::MtrrSnapshot& mtrrs, const ept::Limits& limits,
                        std::size_t count) {
    std::vector<ept::Table> pages(count);
    std::vector<std::uint32_t> links(count);
    double least = std::numeric_limits<double>::infinity();
    // Once, where that alone takes long.
    for (int i = 0; i < 3 && (i == 0 || least < 0.1); ++i) {
        ept::TablePool pool{pages, links, arch::HostPhysicalAddress{1ULL << 32}};
        const auto start = std::chrono::steady_clock::now();
        auto tables = ept::Tables::create(pool, limits);
        if (!tables || !ept::map_identity(*tables, mtrrs)) {
            return std::numeric_limits<double>::quiet_NaN();
        }
        const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
        least = std::min(least, taken.count());
    }
    return least;
}

}  // namespace

std::vector<IdentityCost> identity_costs() {
    std::vector<IdentityCost> costs;
    for (const std::uint32_t bits : {36U, 39U, 46U}) {
        const arch::MtrrSnapshot mtrrs = mtrrs_of(bits);
        for (const Level largest : {Level::pointers, Level::directory, Level::page_table}) {
            const ept::Limits limits = limits_of(bits, largest);
            const std::size_t count =
                ept::identity_table_count(mtrrs, limits, std::numeric_limits<std::size_t>::max())
                    .value_or(0);
            IdentityCost cost{.memory_gib = 1ULL << (bits - 30),
                              .largest = largest,
                              .table_bytes = count * arch::page_bytes,
                              .view_bytes = ept::SplitViews::pages_of_view(1) * arch::page_bytes};
            if (count <= most_tables_built) {
                cost.seconds = seconds_to_build(mtrrs, limits, count);
            }
            costs.push_back(cost);
        }
    }
    return costs;
}

}  // namespace hvp::bench
