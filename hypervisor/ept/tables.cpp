// Edits: mapping, unmapping and splitting pages.
#include "hypervisor/ept/tables.hpp"

#include <algorithm>

namespace hvp::ept {
namespace {

bool is_page_aligned(std::uint64_t number) {
    return number % arch::page_bytes == 0;
}

/// One store, which a processor that walks sees entirely or not at all; what was written before it,
/// such as a new table, is visible before it.
/// [SDM 3A 8.1.1 "Guaranteed Atomic Operations"]
void publish(Entry& entry, Entry value) {
    static_assert(sizeof(Entry) == sizeof(std::uint64_t));
    __atomic_store_n(reinterpret_cast<std::uint64_t*>(&entry), value.raw(), __ATOMIC_RELEASE);
}

bool is_empty(const Table& table) {
    return std::ranges::none_of(table, &Entry::raw);
}

}  // namespace

/// What shall become of the guest-physical addresses from `start` to `end`.
struct Tables::Edit {
    enum class Kind : std::uint8_t {
        map,
        update_types,  ///< a map that preserves pinned pages
        unmap,
        split,  ///< the same in smaller pages
    };

    std::uint64_t start;
    std::uint64_t end;
    Kind kind;
    Leaf to{};
    Level largest{Level::pml4};
    bool pinned{};

    [[nodiscard]] bool maps() const { return kind == Kind::map || kind == Kind::update_types; }
    /// Which part of a region it concerns.
    [[nodiscard]] std::uint64_t first_in(std::uint64_t base) const { return std::max(base, start); }
    [[nodiscard]] std::uint64_t end_in(std::uint64_t base, Level level) const {
        return std::min(base + bytes_of_entry(level), end);
    }
    [[nodiscard]] bool covers(std::uint64_t base, Level level) const {
        return first_in(base) == base && end_in(base, level) == base + bytes_of_entry(level);
    }
    /// Where the first byte of a region leads that the edit covers.
    [[nodiscard]] Leaf leaf_at(std::uint64_t base) const {
        return {.physical = to.physical + (base - start), .rights = to.rights, .type = to.type};
    }
    /// Whether there is nothing to do at this entry, nor below.
    [[nodiscard]] bool passes(Level level, Entry entry) const {
        switch (kind) {
            case Kind::map:
                return false;
            case Kind::update_types:
                return entry.maps_page(level) && entry.has(Entry::Mark::pinned);
            case Kind::unmap:
                return !entry.is_present();
            case Kind::split:
                return !entry.is_present() || level <= largest;
        }
        return false;
    }
    [[nodiscard]] Entry entry_at(std::uint64_t base, Level level, Entry before) const {
        if (kind == Kind::unmap) {
            return Entry{};
        }
        const Entry entry = Entry::mapping(level, leaf_at(base));
        if (kind == Kind::update_types && before.maps_page(level) &&
            before.address() == entry.address()) {
            return entry.with_flags_of(before);
        }
        return pinned ? entry.marked(Entry::Mark::pinned) : entry;
    }
};

std::expected<Tables, EditError> Tables::create(TablePool& pool, const Limits& limits) {
    Table* const root = pool.take();
    if (root == nullptr) {
        return std::unexpected{EditError::no_table_left};
    }
    return Tables{pool, limits, *root};
}

Tables::~Tables() {
    if (root_ == nullptr) {
        return;
    }
    for (const Entry entry : *root_) {
        retire_below(Level::pml4, entry);
    }
    pool_->retire(*root_);
    pool_->reclaim();
}

Level Tables::largest_allowed(Level wanted) const {
    Level largest = std::min(wanted, Level::pointers);
    if (largest == Level::pointers && limits_.capability.pages_1_gb == 0) {
        largest = Level::directory;
    }
    if (largest == Level::directory && limits_.capability.pages_2_mb == 0) {
        largest = Level::page_table;
    }
    return largest;
}

std::expected<PendingInvalidation, EditError> Tables::map(const Mapping& mapping) {
    const std::uint64_t start = mapping.guest.raw();
    const std::uint64_t target = mapping.to.physical.raw();
    if (!is_page_aligned(start) || !is_page_aligned(mapping.bytes) || !is_page_aligned(target)) {
        return std::unexpected{EditError::not_aligned};
    }
    const std::uint64_t host_physical_end = 1ULL << limits_.physical_address_bits;
    if (start >= guest_physical_end || mapping.bytes > guest_physical_end - start ||
        target >= host_physical_end || mapping.bytes > host_physical_end - target) {
        return std::unexpected{EditError::out_of_range};
    }
    const Entry sample = Entry::mapping(Level::page_table, mapping.to);
    if (!sample.is_present() ||
        misconfiguration_of(Level::page_table, sample, limits_) != Misconfiguration::none) {
        return std::unexpected{EditError::would_misconfigure};
    }
    return perform({.start = start,
                    .end = start + mapping.bytes,
                    .kind = mapping.preserve_pinned ? Edit::Kind::update_types : Edit::Kind::map,
                    .to = mapping.to,
                    .largest = largest_allowed(mapping.largest),
                    .pinned = mapping.pinned});
}

std::expected<PendingInvalidation, EditError> Tables::unmap(arch::GuestPhysicalAddress guest,
                                                            std::uint64_t bytes) {
    if (!is_page_aligned(guest.raw()) || !is_page_aligned(bytes)) {
        return std::unexpected{EditError::not_aligned};
    }
    if (guest.raw() >= guest_physical_end || bytes > guest_physical_end - guest.raw()) {
        return std::unexpected{EditError::out_of_range};
    }
    return perform({.start = guest.raw(), .end = guest.raw() + bytes, .kind = Edit::Kind::unmap});
}

std::expected<PendingInvalidation, EditError> Tables::split(arch::GuestPhysicalAddress guest,
                                                            Level level) {
    if (guest.raw() >= guest_physical_end) {
        return std::unexpected{EditError::out_of_range};
    }
    const std::uint64_t page = arch::page_of(guest).raw();
    return perform({.start = page,
                    .end = page + arch::page_bytes,
                    .kind = Edit::Kind::split,
                    .largest = level});
}

std::expected<PendingInvalidation, EditError> Tables::perform(const Edit& edit) {
    if (edit.start == edit.end) {
        return PendingInvalidation{.pointer = pointer()};
    }
    constexpr std::uint64_t region = bytes_of_entry(Level::pml4);
    const std::uint64_t first_region = edit.start / region * region;
    // All tables are counted before an entry is changed: an edit is made entirely or not at all.
    std::size_t needed = 0;
    for (std::uint64_t base = first_region; base < edit.end; base += region) {
        needed += tables_needed(edit, Level::pml4, base,
                                (*root_)[index_at(Level::pml4, base)].released());
    }
    if (needed > pool_->free()) {
        return std::unexpected{EditError::no_table_left};
    }
    for (std::uint64_t base = first_region; base < edit.end; base += region) {
        apply(edit, Level::pml4, base, (*root_)[index_at(Level::pml4, base)]);
    }
    return finish_edit();
}

/// Whether one entry of this level can hold all that shall become of the region.
bool Tables::fits_entry(const Edit& edit, Level level, std::uint64_t base, Entry entry) const {
    if (edit.kind == Edit::Kind::split || !edit.covers(base, level)) {
        return false;
    }
    if (edit.kind == Edit::Kind::unmap) {
        return true;
    }
    return level <= edit.largest &&
           edit.leaf_at(base).physical.raw() % bytes_of_entry(level) == 0 &&
           (edit.kind == Edit::Kind::map || !has_pinned(level, entry));
}

/// Whether nothing is mapped in the region yet, and all of it becomes one table of consecutive
/// pages. A map of all memory consists of these: they are worth a loop of their own.
bool Tables::fills_table(const Edit& edit, Level level, std::uint64_t base, Entry entry) const {
    const Level next = below(level);
    return edit.maps() && !entry.is_present() && next <= edit.largest && edit.covers(base, level) &&
           edit.leaf_at(base).physical.raw() % bytes_of_entry(next) == 0;
}

// NOLINTNEXTLINE(misc-no-recursion): four levels
bool Tables::has_pinned(Level level, Entry entry) const {
    if (!entry.references_table(level)) {
        return entry.has(Entry::Mark::pinned);
    }
    return std::ranges::any_of(*table_at(entry.address()), [this, level](Entry child) {
        return has_pinned(below(level), child);
    });
}

// NOLINTNEXTLINE(misc-no-recursion): four levels
std::size_t Tables::tables_needed(const Edit& edit, Level level, std::uint64_t base,
                                  Entry entry) const {
    if (edit.passes(level, entry) || fits_entry(edit, level, base, entry)) {
        return 0;
    }
    if (fills_table(edit, level, base, entry)) {
        return 1;
    }
    const bool has_table = entry.references_table(level);
    std::size_t count = references_own(level, entry) ? 0 : 1;
    const Level next = below(level);
    if (next == Level::page_table) {
        return count;
    }
    const std::uint64_t step = bytes_of_entry(next);
    for (std::uint64_t at = edit.first_in(base) / step * step; at < edit.end_in(base, level);
         at += step) {
        Entry child{};
        if (has_table) {
            child = (*table_at(entry.address()))[index_at(next, at)].released();
        } else if (entry.is_present()) {
            child = entry.part(level, index_at(next, at));
        }
        count += tables_needed(edit, next, at, child);
    }
    return count;
}

// NOLINTNEXTLINE(misc-no-recursion): four levels
void Tables::apply(const Edit& edit, Level level, std::uint64_t base, Entry& entry) {
    const Entry before = entry.released();
    if (edit.passes(level, before)) {
        return;
    }
    if (fits_entry(edit, level, base, before)) {
        const Entry becomes = edit.entry_at(base, level, before);
        return replace(level, entry, mark_private(becomes));
    }
    const Level next = below(level);
    const std::uint64_t step = bytes_of_entry(next);
    if (fills_table(edit, level, base, before)) {
        Table& table = *pool_->take();  // counted before
        for (std::size_t i = 0; i < table.size(); ++i) {
            table[i] = mark_private(edit.entry_at(base + i * step, next, Entry{}));
        }
        return replace(level, entry, Entry::referencing(pool_->physical_of(table)));
    }
    Table& table = table_below(level, entry);
    for (std::uint64_t at = edit.first_in(base) / step * step; at < edit.end_in(base, level);
         at += step) {
        apply(edit, next, at, table[index_at(next, at)]);
    }
    if (edit.kind == Edit::Kind::unmap && is_empty(table)) {
        replace(level, entry, Entry{});
    }
}

/// The table of this EPT that the entry references. Where there is none, the entry is replaced by a
/// table that means the same: the parts of its page, or a copy of the base's table.
Table& Tables::table_below(Level level, Entry& entry) {
    if (references_own(level, entry)) {
        return pool_->at(entry.address());
    }
    Table& table = *pool_->take();  // counted before
    const Entry before = entry.released();
    if (before.references_table(level)) {
        table = *table_at(before.address());
    } else if (before.is_present()) {
        for (std::size_t i = 0; i < table.size(); ++i) {
            table[i] = before.part(level, i);
        }
    } else {
        table.fill(entry);  // it may have a mark
    }
    replace(level, entry, Entry::referencing(pool_->physical_of(table)));
    return table;
}

void Tables::replace(Level level, Entry& entry, Entry by) {
    const Entry before = entry;
    flush_needed_ = flush_needed_ || needs_invalidation(level, before, by);
    publish(entry, by);
    if (before.references_table(level) && before.address() != by.address()) {
        retire_below(level, before);
    }
}

/// Takes the table that the entry references out of use, and all below it.
// NOLINTNEXTLINE(misc-no-recursion): four levels
void Tables::retire_below(Level level, Entry entry) {
    if (!references_own(level, entry)) {
        return;
    }
    Table& table = pool_->at(entry.address());
    for (const Entry child : table) {
        retire_below(below(level), child);
    }
    pool_->retire(table);
}

PendingInvalidation Tables::finish_edit() {
    PendingInvalidation pending{.pointer = pointer()};
    if (std::exchange(flush_needed_, false)) {
        pending.processors = processors_;
    }
    unflushed_edits_ += pending.empty() ? 0 : 1;
    reclaim_if_flushed();
    return pending;
}

void Tables::flush_done(const PendingInvalidation& pending) {
    unflushed_edits_ -= pending.empty() ? 0 : 1;
    reclaim_if_flushed();
}

void Tables::defer(PendingInvalidation& pending, const PendingInvalidation& more) {
    if (pending.empty()) {
        pending = more;
    } else {
        pending.processors = pending.processors | more.processors;
        flush_done(more);
    }
}

/// A retired table is not marked with the edit that retired it, so it stays retired until no edit
/// is unflushed.
void Tables::reclaim_if_flushed() {
    if (unflushed_edits_ == 0) {
        pool_->reclaim();
    }
}

Tables::Place Tables::place_of(arch::GuestPhysicalAddress guest, Level level) {
    Level at = Level::pml4;
    Entry* entry = &(*root_)[index_at(at, guest.raw())];
    while (at != level && references_own(at, *entry)) {
        Table& table = pool_->at(entry->address());
        at = below(at);
        entry = &table[index_at(at, guest.raw())];
    }
    return {.entry = *entry, .level = at};
}

std::expected<PendingInvalidation, EditError> Tables::hold_execution(
    arch::GuestPhysicalAddress guest, Level level) {
    if (guest.raw() >= guest_physical_end) {
        return std::unexpected{EditError::out_of_range};
    }
    const Place place = place_of(guest, level);
    if (!place.entry.released().is_present()) {
        return std::unexpected{EditError::not_one_page};
    }
    replace(place.level, place.entry, place.entry.held());
    return finish_edit();
}

PendingInvalidation Tables::release_execution(arch::GuestPhysicalAddress guest, Level level) {
    const Place place = place_of(guest, level);
    replace(place.level, place.entry, place.entry.released());
    return finish_edit();
}

PendingInvalidation Tables::write_raw(arch::GuestPhysicalAddress guest, Level level, Entry entry) {
    Table* table = root_;
    for (Level at = Level::pml4; at != level; at = below(at)) {
        table = &pool_->at((*table)[index_at(at, guest.raw())].address());
    }
    Entry& place = (*table)[index_at(level, guest.raw())];
    flush_needed_ = needs_invalidation(level, place, entry);
    publish(place, entry);
    return finish_edit();
}

}  // namespace hvp::ept
