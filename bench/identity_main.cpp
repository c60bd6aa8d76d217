// Prints what identities cost, beside designs that give each processor tables of its own.
#include <fmt/format.h>

#include "bench/identity.hpp"

int main() {
    using hvp::ept::Level;
    constexpr std::uint64_t processors = 8;
    fmt::print("{:>10}{:>8}{:>18}{:>18}{:>12}\n", "memory", "pages", "bytes of tables",
               "for 8 processors", "seconds");
    const auto costs = hvp::bench::identity_costs();
    for (const auto& cost : costs) {
        const char* const pages = cost.largest == Level::pointers    ? "1 GB"
                                  : cost.largest == Level::directory ? "2 MB"
                                                                     : "4 KB";
        fmt::print("{:>6} GiB{:>8}{:>18}{:>18}{:>12}\n", cost.memory_gib, pages, cost.table_bytes,
                   cost.table_bytes * processors,
                   cost.seconds ? fmt::format("{:.6f}", *cost.seconds) : "not built");
    }
    fmt::print("each view with one target: {} bytes\n", costs.front().view_bytes);
}
