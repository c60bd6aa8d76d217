// Pages that become large again, and what a view shares with its base.
#include <algorithm>
#include <array>
#include <utility>

#include "hypervisor/ept/tables.hpp"

namespace hvp::ept {
namespace {

bool says_the_same(Entry a, Entry b) {
    return a.without_flags() == b.without_flags();
}

/// What the processor has noted of a page stays, as long as it is the same memory.
Entry keeping_flags(Level level, Entry by, Entry before) {
    const bool same_page =
        by.maps_page(level) && before.maps_page(level) && by.address() == before.address();
    return same_page ? by.with_flags_of(before) : by;
}

}  // namespace

std::expected<PendingInvalidation, EditError> Tables::join(arch::GuestPhysicalAddress guest,
                                                           Level level) {
    if (level == Level::page_table || largest_allowed(level) != level) {
        return std::unexpected{EditError::would_misconfigure};
    }
    Entry* place = &(*root_)[index_at(Level::pml4, guest.raw())];
    for (Level at = Level::pml4; at != level; at = below(at)) {
        if (!references_own(at, *place)) {
            return std::unexpected{EditError::not_one_page};
        }
        place = &pool_->at(place->address())[index_at(below(at), guest.raw())];
    }
    if (!references_own(level, *place)) {
        return std::unexpected{EditError::not_one_page};
    }
    const Table& parts = pool_->at(place->address());
    const Entry first = parts[0].without_flags();
    if (!first.maps_page(below(level)) || first.address().raw() % bytes_of_entry(level) != 0) {
        return std::unexpected{EditError::not_one_page};
    }
    Entry page = first.whole();
    for (std::size_t i = 0; i < parts.size(); ++i) {
        if (parts[i].without_flags() != first.whole().part(level, i)) {
            return std::unexpected{EditError::not_one_page};
        }
        page = page.with_flags_of(parts[i]);
    }
    bool due = false;
    replace(level, *place, page, due);
    return owe(due);
}

std::expected<Tables, EditError> Tables::create_over(TablePool& pool, const Tables& base) {
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
    bool due = false;
    while (true) {
        Entry& entry = *place(level);
        const Entry wanted = in_base(level, guest.raw());
        if (!says_the_same(entry, wanted)) {
            replace(level, entry, keeping_flags(level, wanted, entry), due);
        }
        if (level == Level::pml4) {
            break;
        }
        const Level next = above(level);
        if (!is_as_in_base(next, in_base(next, guest.raw()), pool_->at(place(next)->address()))) {
            break;
        }
        level = next;
    }
    return owe(due);
}

PendingInvalidation Tables::follow(const PendingInvalidation& edit_of_base) {
    bool due = !edit_of_base.is_nothing();
    for (std::size_t i = 0; i < root_->size(); ++i) {
        follow_at(Level::pml4, (*root_)[i], (*base_root_)[i], due);
    }
    return owe(due);
}

// NOLINTNEXTLINE(misc-no-recursion): four levels
void Tables::follow_at(Level level, Entry& entry, Entry base, bool& due) {
    if (says_the_same(entry, base)) {
        return;  // which is so for nearly all of them
    }
    if (references_own(level, entry)) {
        Table& table = pool_->at(entry.address());
        for (std::size_t i = 0; i < table.size(); ++i) {
            follow_at(below(level), table[i], below_in_base(level, base, i), due);
        }
    } else if (!entry.has(Entry::Mark::own)) {
        replace(level, entry, keeping_flags(level, base, entry), due);
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

bool Tables::is_as_in_base(Level level, Entry base, const Table& table) const {
    for (std::size_t i = 0; i < table.size(); ++i) {
        if (!says_the_same(table[i], below_in_base(level, base, i))) {
            return false;
        }
    }
    return true;
}

}  // namespace hvp::ept
