// Building the identity, counting its tables, and updating its types when MTRRs change.
#include "hypervisor/ept/identity.hpp"

#include <algorithm>
#include <array>

namespace hvp::ept {
namespace {

using arch::HostPhysicalAddress;
using arch::MtrrSnapshot;
using arch::UniformRange;

/// Calls `use` for one range of one type after the other; stops when it returns false.
template <typename Use>
void for_each_range(const MtrrSnapshot& mtrrs, HostPhysicalAddress start, HostPhysicalAddress end,
                    Use use) {
    while (start < end) {
        const UniformRange range = arch::next_uniform(mtrrs, start, end);
        if (!use(range)) {
            return;
        }
        start = range.end;
    }
}

/// Counts the entries of one level that reference a table: all that no single range fills, or that
/// lie in no range as large as one page may be.
class TablesOfLevel {
public:
    TablesOfLevel(Level level, bool can_map) : bytes_{bytes_of_entry(level)}, can_map_{can_map} {}

    void add(const UniformRange& range) {
        const std::uint64_t first = range.start.raw() / bytes_;
        const std::uint64_t end = (range.end.raw() + bytes_ - 1) / bytes_;
        if (!can_map_) {
            count_entries(first, end);
            return;
        }
        if (range.start.raw() % bytes_ != 0) {
            count_entries(first, first + 1);
        }
        if (range.end.raw() % bytes_ != 0) {
            count_entries(end - 1, end);
        }
    }
    [[nodiscard]] std::size_t count() const { return count_; }

private:
    /// Ranges come in the order of their addresses, so only the last entry can come twice.
    void count_entries(std::uint64_t first, std::uint64_t end) {
        first = std::max(first, counted_end_);
        if (first < end) {
            count_ += end - first;
            counted_end_ = end;
        }
    }

    std::uint64_t bytes_;
    bool can_map_;
    std::uint64_t counted_end_{};
    std::size_t count_{};
};

Mapping identity_of(const UniformRange& range) {
    return {.guest = arch::GuestPhysicalAddress{range.start.raw()},
            .bytes = range.end - range.start,
            .to = {.physical = range.start, .rights = everything, .type = range.type},
            .largest = Level::pointers,
            .preserve_pinned = true};
}

/// Several edits of the same tables, with one pending invalidation.
class Edits {
public:
    explicit Edits(Tables& tables) : tables_{tables} {}

    [[nodiscard]] bool add(const std::expected<PendingInvalidation, EditError>& edit) {
        if (!edit) {
            error_ = edit.error();
        } else {
            tables_.defer(pending_, *edit);
        }
        return edit.has_value();
    }
    [[nodiscard]] const PendingInvalidation& pending() const { return pending_; }
    [[nodiscard]] const std::optional<EditError>& error() const { return error_; }

private:
    Tables& tables_;
    PendingInvalidation pending_{.pointer = tables_.pointer()};
    std::optional<EditError> error_;
};

/// The part of `whole` that lies in the largest pages that `part` of it touches.
UniformRange grown(const UniformRange& part, const UniformRange& whole, const Limits& limits) {
    const std::uint64_t page =
        bytes_of_entry(limits.capability.pages_1_gb != 0 ? Level::pointers : Level::directory);
    const HostPhysicalAddress start{part.start.raw() & ~(page - 1)};
    const HostPhysicalAddress end{(part.end.raw() + page - 1) & ~(page - 1)};
    return {
        .start = std::max(start, whole.start), .end = std::min(end, whole.end), .type = whole.type};
}

/// Calls `use` for each range that has another type in `after` than in `before`, with what can be
/// one page with it: an MTRR for 64 KBytes shall not cost the edit of a terabyte. Stops when it
/// returns false.
template <typename Use>
void for_each_change(const Limits& limits, const MtrrSnapshot& before, const MtrrSnapshot& after,
                     Use use) {
    for_each_range(after, HostPhysicalAddress{0}, HostPhysicalAddress{identity_end(limits)},
                   [&](const UniformRange& range) {
                       bool goes_on = true;
                       for_each_range(
                           before, range.start, range.end, [&](const UniformRange& part) {
                               goes_on = part.type == range.type || use(grown(part, range, limits));
                               return goes_on;
                           });
                       return goes_on;
                   });
}

/// Makes a page begin here.
///
/// Returns  false: no table was left
bool split_at(Tables& tables, Edits& edits, HostPhysicalAddress border) {
    Level level = Level::page_table;
    while (level != Level::pml4 && border.raw() % bytes_of_entry(above(level)) == 0) {
        level = above(level);
    }
    return border.raw() == identity_end(tables.limits()) || level == Level::pml4 ||
           edits.add(tables.split(arch::GuestPhysicalAddress{border.raw()}, level));
}

}  // namespace

std::optional<std::size_t> identity_table_count(const MtrrSnapshot& mtrrs, const Limits& limits,
                                                std::size_t most) {
    const bool gb = limits.capability.pages_1_gb != 0;
    const bool mb = limits.capability.pages_2_mb != 0;
    std::array levels{TablesOfLevel{Level::pml4, false}, TablesOfLevel{Level::pointers, gb},
                      TablesOfLevel{Level::directory, mb}};
    const auto total = [&levels] {
        std::size_t count = 1;
        for (const TablesOfLevel& level : levels) {
            count += level.count();
        }
        return count;
    };
    for_each_range(mtrrs, HostPhysicalAddress{0}, HostPhysicalAddress{identity_end(limits)},
                   [&](const UniformRange& range) {
                       for (TablesOfLevel& level : levels) {
                           level.add(range);
                       }
                       return total() <= most;
                   });
    return total() <= most ? std::optional{total()} : std::nullopt;
}

std::expected<PendingInvalidation, EditError> map_identity(Tables& tables,
                                                           const MtrrSnapshot& mtrrs) {
    Edits edits{tables};
    for_each_range(
        mtrrs, HostPhysicalAddress{0}, HostPhysicalAddress{identity_end(tables.limits())},
        [&](const UniformRange& range) { return edits.add(tables.map(identity_of(range))); });
    if (edits.error()) {
        return std::unexpected{*edits.error()};
    }
    return edits.pending();
}

MemoryTypeUpdate update_memory_types(Tables& tables, const MtrrSnapshot& before,
                                     const MtrrSnapshot& after) {
    Edits edits{tables};
    if (!identity_table_count(after, tables.limits(), tables.pool().size())) {
        return {.pending = edits.pending(), .complete = false};
    }
    // First all that takes tables, and changes no type. What comes then cannot fail, and undoes the
    // splits where there were not enough.
    bool has_room = true;
    for_each_change(tables.limits(), before, after, [&](const UniformRange& range) {
        has_room = split_at(tables, edits, range.start) && split_at(tables, edits, range.end);
        return has_room;
    });
    for_each_change(
        tables.limits(), has_room ? before : after, has_room ? after : before,
        [&](const UniformRange& range) { return edits.add(tables.map(identity_of(range))); });
    return {.pending = edits.pending(), .complete = has_room && !edits.error()};
}

}  // namespace hvp::ept
