// A view and its base: creating the view, giving a page back to the base, following the base's
// edits. The view's own tables are compared with what the base has in their place.
#include <algorithm>
#include <array>
#include <utility>

#include "hypervisor/ept/tables.hpp"

namespace hvp::ept {
namespace {

bool same_but_flags(Entry a, Entry b) {
    return a.without_flags() == b.without_flags();
}

/// A page keeps its accessed and dirty flags as long as it is the same memory.
Entry keeping_flags(Level level, Entry by, Entry before) {
    const bool same_page =
        by.maps_page(level) && before.maps_page(level) && by.address() == before.address();
    return same_page ? by.with_flags_of(before) : by;
}

}  // namespace

std::expected<Tables, EditError> Tables::create_view(TablePool& pool, const Tables& base) {
    auto view = create(pool, base.limits_);
    if (view) {
        *view->root_ = *base.root_;
        view->base_root_ = base.root_;
        view->base_pool_ = base.pool_;
        view->records_accesses_ = base.records_accesses_;
    }
    return view;
}

PendingInvalidation Tables::restore(arch::GuestPhysicalAddress guest) {
    std::array<Entry*, 5> places{};  // by level
    const auto place = [&places](Level level) -> Entry*& {
        return places[std::to_underlying(level)];
    };
    Level level = Level::pml4;
    place(level) = &(*root_)[index_at(level, guest.raw())];
    while (references_own(level, *place(level))) {
        Table& table = pool_->at(place(level)->address());
        level = below(level);
        place(level) = &table[index_at(level, guest.raw())];
    }
    while (true) {
        Entry& entry = *place(level);
        const Entry wanted = in_base(level, guest.raw());
        if (!same_but_flags(entry, wanted)) {
            replace(level, entry, keeping_flags(level, wanted, entry));
        }
        if (level == Level::pml4) {
            break;
        }
        const Level next = above(level);
        if (!matches_base(next, in_base(next, guest.raw()), pool_->at(place(next)->address()))) {
            break;
        }
        level = next;
    }
    return finish_edit();
}

PendingInvalidation Tables::sync_with_base(const PendingInvalidation& edit_of_base) {
    flush_needed_ = !edit_of_base.empty();
    for (std::size_t i = 0; i < root_->size(); ++i) {
        sync_entry(Level::pml4, (*root_)[i], (*base_root_)[i]);
    }
    return finish_edit();
}

// NOLINTNEXTLINE(misc-no-recursion): four levels
void Tables::sync_entry(Level level, Entry& entry, Entry base) {
    if (same_but_flags(entry, base)) {
        return;  // which is so for nearly all of them
    }
    if (references_own(level, entry)) {
        Table& table = pool_->at(entry.address());
        for (std::size_t i = 0; i < table.size(); ++i) {
            sync_entry(below(level), table[i], below_in_base(level, base, i));
        }
    } else if (!entry.has(Entry::Mark::of_view)) {
        replace(level, entry, keeping_flags(level, base, entry));
    }
}

/// What the base has in place of entry `index` of the table below its `entry`: that entry, or the
/// part of a larger page that it would be.
Entry Tables::below_in_base(Level level, Entry entry, std::size_t index) const {
    if (entry.references_table(level)) {
        return base_pool_->at(entry.address())[index];
    }
    return entry.is_present() ? entry.part(level, index) : entry;
}

Entry Tables::in_base(Level level, std::uint64_t address) const {
    Entry entry = (*base_root_)[index_at(Level::pml4, address)];
    for (Level at = Level::pml4; at != level; at = below(at)) {
        entry = below_in_base(at, entry, index_at(below(at), address));
    }
    return entry;
}

bool Tables::matches_base(Level level, Entry base, const Table& table) const {
    for (std::size_t i = 0; i < table.size(); ++i) {
        if (!same_but_flags(table[i], below_in_base(level, base, i))) {
            return false;
        }
    }
    return true;
}

}  // namespace hvp::ept
