// Edits that concern several EPTs at once.
#include "hypervisor/hooks/split_views.hpp"

#include <algorithm>

namespace hvp::ept {
SplitViews::SplitViews(const TableMemory& memory, std::size_t identity_tables,
                       std::uint32_t processors, const Limits& limits)
    : limits_{limits},
      view_count_{first_step + std::min(processors, most_processors)},
      is_too_small_{processors > most_processors},
      identity_pool_{memory.pages.first(identity_tables), memory.links.first(identity_tables),
                     memory.physical} {
    const std::size_t each = (memory.pages.size() - identity_tables) / view_count_;
    for (std::size_t i = 0; i < view_count_; ++i) {
        const std::size_t first = identity_tables + i * each;
        pools_[i].emplace(memory.pages.subspan(first, each), memory.links.subspan(first, each),
                          memory.physical + first * arch::page_bytes);
    }
}

std::expected<void, EditError> SplitViews::build(const arch::MtrrSnapshot& mtrrs,
                                                 bool record_accesses) {
    if (is_too_small_) {
        return std::unexpected{EditError::out_of_range};
    }
    mtrrs_ = mtrrs;
    auto identity = Tables::create(identity_pool_, limits_);
    if (!identity) {
        return std::unexpected{identity.error()};
    }
    identity_.emplace(std::move(*identity));
    if (record_accesses) {
        identity_->record_accesses();
    }
    if (const auto mapped = map_identity(*identity_, mtrrs); !mapped) {
        return std::unexpected{mapped.error()};
    }
    for (std::size_t i = 0; i < view_count_; ++i) {
        auto view = Tables::create_view(*pools_[i], *identity_);
        if (!view) {
            return std::unexpected{view.error()};
        }
        views_[i].emplace(std::move(*view));
    }
    return {};
}

void SplitViews::attach(std::uint32_t processor) {
    // No processor has the identity itself in its VMCS, but all cache its tables' translations.
    identity_->attach(processor);
    for (const View view : {View::data, View::code, View::step}) {
        tables(view, processor).attach(processor);
    }
}

void SplitViews::detach(std::uint32_t processor) {
    identity_->detach(processor);
    for (const View view : {View::data, View::code, View::step}) {
        tables(view, processor).detach(processor);
    }
}

/// Where a split page leads in a view. Each view allows only its own kind of access, so that every
/// other one is an EPT violation, at which the view is switched.
Mapping SplitViews::mapping_for(std::size_t view, const SplitPage& page) const {
    const arch::HostPhysicalAddress frame = view == code ? page.code : page.data;
    return {.guest = page.page,
            .bytes = arch::page_bytes,
            .to = {.physical = frame,
                   .rights = view == code ? execute_only : read_write,
                   .type = arch::mtrr_type_of(mtrrs_, frame)}};
}

std::expected<void, SplitPageError> SplitViews::add(const SplitPage& page) {
    const auto registered = split_pages_.add(page, limits_);
    if (!registered) {
        return registered;
    }
    for (std::size_t i = 0; i < view_count_; ++i) {
        const auto edit = view_at(i).map(mapping_for(i, page));
        if (!edit) {
            static_cast<void>(remove(page.page));
            return std::unexpected{edit.error() == EditError::no_table_left
                                       ? SplitPageError::no_table_left
                                       : SplitPageError::out_of_range};
        }
        defer(i, *edit);
    }
    return {};
}

bool SplitViews::remove(arch::GuestPhysicalAddress page) {
    if (!split_pages_.remove(page)) {
        return false;
    }
    for (std::size_t i = 0; i < view_count_; ++i) {
        defer(i, view_at(i).restore(page));
    }
    return true;
}

std::expected<void, EditError> SplitViews::hide(arch::GuestPhysicalAddress start,
                                                std::uint64_t bytes,
                                                arch::HostPhysicalAddress decoy) {
    for (std::uint64_t done = 0; done < bytes; done += arch::page_bytes) {
        const auto edit = identity_->map({.guest = start + done,
                                          .bytes = arch::page_bytes,
                                          .to = {.physical = decoy,
                                                 .rights = read_write,
                                                 .type = arch::mtrr_type_of(mtrrs_, decoy)},
                                          .pinned = true});
        if (!edit) {
            sync_views(identity_pending_);
            return std::unexpected{edit.error()};
        }
        identity_->defer(identity_pending_, *edit);
    }
    sync_views(identity_pending_);
    return {};
}

bool SplitViews::update_memory_types(const arch::MtrrSnapshot& after) {
    const MemoryTypeUpdate identity = ept::update_memory_types(*identity_, mtrrs_, after);
    identity_->defer(identity_pending_, identity.pending);
    sync_views(identity_pending_);
    if (!identity.complete) {
        return false;
    }
    mtrrs_ = after;
    for (const SplitPage& page : split_pages_.all()) {
        for (std::size_t i = 0; i < view_count_; ++i) {
            // The tables on the way to a split page are the view's own, so none is needed.
            if (const auto edit = view_at(i).map(mapping_for(i, page))) {
                defer(i, *edit);
            }
        }
    }
    return true;
}

std::expected<void, EditError> SplitViews::split(arch::GuestPhysicalAddress page) {
    const auto edit = identity_->split(page, Level::page_table);
    if (!edit) {
        return std::unexpected{edit.error()};
    }
    identity_->defer(identity_pending_, *edit);
    sync_views(identity_pending_);
    return {};
}

std::expected<void, EditError> SplitViews::merge(arch::GuestPhysicalAddress page, Level level) {
    for (auto next = Level::directory; next <= level; next = above(next)) {
        const auto edit = identity_->merge(page, next);
        if (!edit) {
            return std::unexpected{edit.error()};
        }
        identity_->defer(identity_pending_, *edit);
        sync_views(identity_pending_);
    }
    return {};
}

bool SplitViews::clear_accessed_flags(arch::GuestPhysicalAddress page) {
    const Walk walk = identity_->walk(page);
    if (walk.end != WalkEnd::page || walk.last().level != Level::page_table) {
        return false;
    }
    identity_->defer(identity_pending_, identity_->write_raw(page, Level::page_table,
                                                             walk.last().entry.without_flags()));
    sync_views(identity_pending_);
    return true;
}

PendingInvalidation SplitViews::begin_step(std::uint32_t processor,
                                           std::span<const InstructionPart> parts,
                                           std::span<const arch::HostPhysicalAddress> frames) {
    const std::size_t view = index_of(View::step, processor);
    for (std::size_t i = 0; i < parts.size(); ++i) {
        const auto edit = view_at(view).map(
            {.guest = parts[i].split_page.page,
             .bytes = arch::page_bytes,
             .to = {.physical = frames[i],
                    .rights = everything,
                    .type = arch::mtrr_type_of(mtrrs_, parts[i].split_page.data)}});
        if (edit) {
            defer(view, *edit);
        }
    }
    const PendingInvalidation pending = pending_[view];
    flush_done(view);
    return pending;
}

void SplitViews::end_step(std::uint32_t processor, std::span<const InstructionPart> parts) {
    const std::size_t view = index_of(View::step, processor);
    for (const InstructionPart& part : parts) {
        const arch::GuestPhysicalAddress page = part.split_page.page;
        // Another processor may have removed the split page meanwhile.
        if (const SplitPage* const split = split_pages_.find(page); split == nullptr) {
            defer(view, view_at(view).restore(page));
        } else if (const auto edit = view_at(view).map(mapping_for(view, *split))) {
            defer(view, *edit);
        }
    }
}

std::array<PendingInvalidation, 3> SplitViews::pending_on(std::uint32_t processor) const {
    std::array<PendingInvalidation, 3> pending{};
    std::size_t next = 0;
    for (const View view : {View::data, View::code, View::step}) {
        const PendingInvalidation& of_view = pending_[index_of(view, processor)];
        if (of_view.processors.has(processor)) {
            pending[next++] = {.pointer = of_view.pointer,
                               .processors = arch::ProcessorSet::only(processor)};
        }
    }
    return pending;
}

void SplitViews::flush_done() {
    for (std::size_t i = 0; i < view_count_; ++i) {
        flush_done(i);
    }
    identity_->flush_done(identity_pending_);
    identity_pending_ = {};
}

void SplitViews::defer(std::size_t view, const PendingInvalidation& more) {
    view_at(view).defer(pending_[view], more);
}

void SplitViews::flush_done(std::size_t view) {
    view_at(view).flush_done(pending_[view]);
    pending_[view] = {};
}

/// All views take over what has changed in the identity. The invalidation is then pending for the
/// views' pointers: no processor uses the identity's own.
void SplitViews::sync_views(const PendingInvalidation& edit_of_identity) {
    for (std::size_t i = 0; i < view_count_; ++i) {
        defer(i, view_at(i).sync_with_base(edit_of_identity));
    }
}

}  // namespace hvp::ept
