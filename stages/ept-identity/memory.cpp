#include "stages/ept-identity/memory.hpp"

#include <new>
#include <utility>

namespace hvp::identity_stage {
namespace {

constexpr std::uint64_t mb_2 = ept::bytes_of_entry(ept::Level::directory);

std::size_t tables_of(std::size_t identity_tables) {
    return ept::SplitViews::pages_needed(identity_tables, Machine::processors, stretches);
}

/// The tables, and after them their links.
std::size_t table_page_count(std::size_t tables) {
    return tables + arch::pages_for(tables * sizeof(std::uint32_t));
}

}  // namespace

StageMemory::StageMemory(stages::OwnedPages<VmmPages> vmm, platform::PageRun guest_run,
                         const ept::Limits& limits, std::size_t identity_tables)
    : vmm_{std::move(vmm)},
      guest_run_{std::move(guest_run)},
      limits_{limits},
      identity_tables_{identity_tables},
      watched_{guest_run_.start() + (-guest_run_.physical().raw() & (mb_2 - 1))},
      guest_{new(watched_ + watched_pages * arch::page_bytes) GuestData{}} {}

std::expected<StageMemory, vmx::Failure> StageMemory::take(const platform::AtPassiveLevel& passive,
                                                           const ept::Limits& limits,
                                                           std::size_t identity_tables) {
    const std::size_t tables = identity_tables + spare_tables;
    // Twice the size, so that 2 MBytes of it begin at a multiple of 2 MBytes.
    constexpr std::size_t guest_pages = 2 * mb_2 / arch::page_bytes;
    constexpr arch::HostPhysicalAddress anywhere{0x7FFF'FFFF'FFFF'FFFF};
    auto vmm = stages::OwnedPages<VmmPages>::take(passive, table_page_count(tables_of(tables)));
    auto guest = platform::PageRun::allocate(passive, guest_pages, anywhere);
    if (!vmm || !guest) {
        return stages::no_pages();
    }
    return StageMemory{std::move(*vmm), std::move(*guest), limits, tables};
}

ept::TableMemory StageMemory::tables() const {
    const std::size_t count = tables_of(identity_tables_);
    auto* const first = reinterpret_cast<ept::Table*>(vmm_.free_pages());
    return {.pages = {first, count},
            .links = {reinterpret_cast<std::uint32_t*>(first + count), count},
            .physical = physical_of(first)};
}

}  // namespace hvp::identity_stage
