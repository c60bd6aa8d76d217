// Edits that concern several EPTs at once.
#include "hypervisor/hooks/split_views.hpp"

namespace hvp::ept {
Views::Views(const TableMemory& memory, std::size_t identity_tables, std::uint32_t processors,
             const Limits& limits)
    : limits_{limits},
      view_count_{first_step + processors},
      identity_pool_{memory.pages.first(identity_tables), memory.links.first(identity_tables),
                     memory.physical} {
    const std::size_t each = (memory.pages.size() - identity_tables) / view_count_;
    for (std::size_t i = 0; i < view_count_; ++i) {
        const std::size_t first = identity_tables + i * each;
        pools_[i].emplace(memory.pages.subspan(first, each), memory.links.subspan(first, each),
                          memory.physical + first * arch::page_bytes);
    }
}

std::expected<void, EditError> Views::build(const arch::MtrrSnapshot& mtrrs, bool record_accesses) {
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
        auto view = Tables::create_over(*pools_[i], *identity_);
        if (!view) {
            return std::unexpected{view.error()};
        }
        views_[i].emplace(std::move(*view));
    }
    return {};
}

void Views::used_by(std::uint32_t processor) {
    // No processor has the identity itself in its VMCS, but all remember its tables.
    identity_->used_by(processor);
    for (const View view : {View::data, View::code, View::step}) {
        tables(view, processor).used_by(processor);
    }
}

void Views::left_by(std::uint32_t processor) {
    identity_->left_by(processor);
    for (const View view : {View::data, View::code, View::step}) {
        tables(view, processor).left_by(processor);
    }
}

/// What a view shows of a target. Each allows no more than what it is for, so that another kind of
/// access is a violation, by which we get to know of it.
Mapping Views::face_in(std::size_t view, const Target& target) const {
    const arch::HostPhysicalAddress frame = view == code ? target.code : target.data;
    return {.guest = target.page,
            .bytes = arch::page_bytes,
            .to = {.physical = frame,
                   .rights = view == code ? execute_only : read_write,
                   .type = arch::mtrr_type_of(mtrrs_, frame)}};
}

std::expected<void, TargetError> Views::add(const Target& target) {
    const auto registered = targets_.add(target, limits_);
    if (!registered) {
        return registered;
    }
    for (std::size_t i = 0; i < view_count_; ++i) {
        const auto due = view_at(i).map(face_in(i, target));
        if (!due) {
            static_cast<void>(remove(target.page));
            return std::unexpected{due.error() == EditError::no_table_left
                                       ? TargetError::no_table_left
                                       : TargetError::out_of_range};
        }
        owe(i, *due);
    }
    return {};
}

bool Views::remove(arch::GuestPhysicalAddress page) {
    if (!targets_.remove(page)) {
        return false;
    }
    for (std::size_t i = 0; i < view_count_; ++i) {
        owe(i, view_at(i).restore(page));
    }
    return true;
}

std::expected<void, EditError> Views::hide(arch::GuestPhysicalAddress start, std::uint64_t bytes,
                                           arch::HostPhysicalAddress decoy) {
    for (std::uint64_t done = 0; done < bytes; done += arch::page_bytes) {
        const auto due = identity_->map({.guest = start + done,
                                         .bytes = arch::page_bytes,
                                         .to = {.physical = decoy,
                                                .rights = read_write,
                                                .type = arch::mtrr_type_of(mtrrs_, decoy)},
                                         .pinned = true});
        if (!due) {
            follow(identity_due_);
            return std::unexpected{due.error()};
        }
        identity_->merge(identity_due_, *due);
    }
    follow(identity_due_);
    return {};
}

bool Views::retype(const arch::MtrrSnapshot& after) {
    const Retyped identity = ept::retype(*identity_, mtrrs_, after);
    identity_->merge(identity_due_, identity.due);
    follow(identity_due_);
    if (!identity.whole) {
        return false;
    }
    mtrrs_ = after;
    for (const Target& target : targets_.all()) {
        for (std::size_t i = 0; i < view_count_; ++i) {
            // The way to a target is the view's own, so no table is needed.
            if (const auto due = view_at(i).map(face_in(i, target))) {
                owe(i, *due);
            }
        }
    }
    return true;
}

std::expected<void, EditError> Views::split(arch::GuestPhysicalAddress page) {
    const auto due = identity_->split(page, Level::page_table);
    if (!due) {
        return std::unexpected{due.error()};
    }
    identity_->merge(identity_due_, *due);
    follow(identity_due_);
    return {};
}

std::expected<void, EditError> Views::join(arch::GuestPhysicalAddress page, Level level) {
    for (auto next = Level::directory; next <= level; next = above(next)) {
        const auto due = identity_->join(page, next);
        if (!due) {
            return std::unexpected{due.error()};
        }
        identity_->merge(identity_due_, *due);
        follow(identity_due_);
    }
    return {};
}

bool Views::forget_accesses(arch::GuestPhysicalAddress page) {
    const Walk walk = identity_->walk(page);
    if (walk.end != WalkEnd::page || walk.last().level != Level::page_table) {
        return false;
    }
    identity_->merge(identity_due_, identity_->write_raw(page, Level::page_table,
                                                         walk.last().entry.without_flags()));
    follow(identity_due_);
    return true;
}

PendingInvalidation Views::begin_step(std::uint32_t processor,
                                      std::span<const InstructionPart> parts,
                                      std::span<const arch::HostPhysicalAddress> frames) {
    const std::size_t view = index_of(View::step, processor);
    for (std::size_t i = 0; i < parts.size(); ++i) {
        const auto due =
            view_at(view).map({.guest = parts[i].target.page,
                               .bytes = arch::page_bytes,
                               .to = {.physical = frames[i],
                                      .rights = everything,
                                      .type = arch::mtrr_type_of(mtrrs_, parts[i].target.data)}});
        if (due) {
            owe(view, *due);
        }
    }
    const PendingInvalidation due = due_[view];
    settle(view);
    return due;
}

void Views::end_step(std::uint32_t processor, std::span<const InstructionPart> parts) {
    const std::size_t view = index_of(View::step, processor);
    for (const InstructionPart& part : parts) {
        const arch::GuestPhysicalAddress page = part.target.page;
        // Another processor may have removed the target meanwhile.
        if (const Target* const target = targets_.find(page); target == nullptr) {
            owe(view, view_at(view).restore(page));
        } else if (const auto due = view_at(view).map(face_in(view, *target))) {
            owe(view, *due);
        }
    }
}

std::array<PendingInvalidation, 3> Views::due_on(std::uint32_t processor) const {
    std::array<PendingInvalidation, 3> due{};
    std::size_t next = 0;
    for (const View view : {View::data, View::code, View::step}) {
        const PendingInvalidation& owed = due_[index_of(view, processor)];
        if (owed.processors.has(processor)) {
            due[next++] = {.pointer = owed.pointer, .processors = ProcessorSet::only(processor)};
        }
    }
    return due;
}

void Views::completed() {
    for (std::size_t i = 0; i < view_count_; ++i) {
        settle(i);
    }
    identity_->completed(identity_due_);
    identity_due_ = {};
}

void Views::owe(std::size_t view, const PendingInvalidation& due) {
    view_at(view).merge(due_[view], due);
}

void Views::settle(std::size_t view) {
    view_at(view).completed(due_[view]);
    due_[view] = {};
}

/// All views take over what has changed in the identity. What is due for that is due for them: no
/// processor has the identity's own pointer.
void Views::follow(const PendingInvalidation& edit_of_identity) {
    for (std::size_t i = 0; i < view_count_; ++i) {
        owe(i, view_at(i).follow(edit_of_identity));
    }
}

}  // namespace hvp::ept
