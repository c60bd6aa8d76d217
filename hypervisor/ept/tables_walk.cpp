// The processor's walk, done by software.
#include "hypervisor/ept/tables.hpp"

namespace hvp::ept {

Walk Tables::walk(arch::GuestPhysicalAddress guest) const {
    Walk walk{.rights = everything};
    if (guest.raw() >= guest_physical_end) {
        walk.end = WalkEnd::address_too_wide;
        return walk;
    }
    const Table* table = root_;
    arch::HostPhysicalAddress physical = pool_->physical_of(*root_);
    for (Level level = Level::pml4;; level = below(level)) {
        const auto index = static_cast<std::uint32_t>(index_at(level, guest.raw()));
        const Entry entry = (*table)[index];
        walk.steps[walk.step_count++] = {
            .level = level, .index = index, .table = physical, .entry = entry};
        // The processor checks in the same order.
        // [SDM 3C 28.2.3.3 "Prioritization of EPT Misconfigurations and EPT Violations"]
        walk.rights = walk.rights & entry.rights();
        if (!entry.is_present()) {
            walk.end = WalkEnd::not_present;
            return walk;
        }
        walk.rule = misconfiguration_of(level, entry, limits_);
        if (walk.rule != Misconfiguration::none) {
            walk.end = WalkEnd::misconfigured;
            return walk;
        }
        if (entry.maps_page(level)) {
            const Leaf leaf = entry.leaf(level);
            walk.end = WalkEnd::page;
            walk.type = leaf.type;
            walk.physical = leaf.physical + guest.raw() % bytes_of_entry(level);
            return walk;
        }
        physical = entry.address();
        table = table_at(physical);
        if (table == nullptr) {
            walk.end = WalkEnd::foreign_table;
            return walk;
        }
    }
}

PageCounts Tables::count_pages() const {
    PageCounts counts;
    count_pages(Level::pml4, *root_, counts);
    return counts;
}

void Tables::count_pages(Level level, const Table& table, PageCounts& counts) const {
    std::uint64_t pages = 0;
    for (const Entry entry : table) {
        if (entry.references_table(level)) {
            if (const Table* const next = table_at(entry.address())) {
                count_pages(below(level), *next, counts);
            }
        } else if (entry.is_present()) {
            ++pages;
        }
    }
    if (pages != 0) {
        counts.of_level[static_cast<std::size_t>(level) - 1] += pages;
    }
}

}  // namespace hvp::ept
