#include "hypervisor/ept/views.hpp"

#include <utility>

namespace hvp::ept {
namespace {

/// What one view shows of a target. It is cached as the page itself.
Mapping face(const Tables& identity, const Target& target, arch::HostPhysicalAddress frame,
             const Rights& rights) {
    return {.guest = target.page,
            .bytes = arch::page_bytes,
            .to = {.physical = frame, .rights = rights, .type = identity.walk(target.page).type}};
}

}  // namespace

std::expected<Views, EditError> Views::create(const ViewPools& pools, const Limits& limits,
                                              const arch::MtrrSnapshot& mtrrs,
                                              std::span<const Hidden> hidden,
                                              arch::HostPhysicalAddress decoy) {
    auto identity = Tables::create(pools.identity, limits);
    if (!identity) {
        return std::unexpected{identity.error()};
    }
    if (limits.capability.accessed_and_dirty != 0) {
        identity->record_accesses();
    }
    // No processor uses it yet, so nothing is due; the tables know.
    const auto mapped = map_identity(*identity, mtrrs);
    if (!mapped) {
        return std::unexpected{mapped.error()};
    }
    identity->completed(*mapped);
    for (const Hidden& range : hidden) {
        for (std::size_t page = 0; page < range.pages; ++page) {
            const auto hides = identity->map(
                {.guest = arch::GuestPhysicalAddress{range.start.raw() + page * arch::page_bytes},
                 .bytes = arch::page_bytes,
                 .to = {.physical = decoy, .rights = read_write},
                 .pinned = true});
            if (!hides) {
                return std::unexpected{hides.error()};
            }
            identity->completed(*hides);
        }
    }
    auto data = Tables::create_over(pools.data, *identity);
    auto code = Tables::create_over(pools.code, *identity);
    if (!data || !code) {
        return std::unexpected{EditError::no_table_left};
    }
    return Views{std::move(*identity), std::move(*data), std::move(*code), mtrrs};
}

void Views::used_by(std::uint32_t processor) {
    identity_.used_by(processor);
    data_.used_by(processor);
    code_.used_by(processor);
}

void Views::left_by(std::uint32_t processor) {
    identity_.left_by(processor);
    data_.left_by(processor);
    code_.left_by(processor);
}

// ---- Edits --------------------------------------------------------------------------------------

bool Editor::pay(Tables& tables, const InvalidationDue& due) {
    if (!due.processors.without(ProcessorSet::only(processor_)).empty() ||
        !invalidate_here(due, processor_, capability_)) {
        return false;
    }
    invalidations_ += due.is_nothing() ? 0 : 1;
    tables.completed(due);
    return true;
}

bool Views::show(const Target& target, Editor& editor) {
    const auto lead = [&](Tables& view, arch::HostPhysicalAddress frame, const Rights& rights) {
        const auto due = view.map(face(identity_, target, frame, rights));
        return due && editor.pay(view, *due);
    };
    bool good = lead(data_, target.data, read_write) && lead(code_, target.code, execute_only);
    for (Tables* const step : steps()) {
        good = good && lead(*step, target.data, read_write);
    }
    return good;
}

bool Views::restore(arch::GuestPhysicalAddress page, Editor& editor) {
    bool good = editor.pay(data_, data_.restore(page)) && editor.pay(code_, code_.restore(page));
    for (Tables* const step : steps()) {
        good = editor.pay(*step, step->restore(page)) && good;
    }
    return good;
}

std::expected<void, TargetError> Views::add(const Target& target, Editor& editor) {
    if (const auto added = targets_.add(target, identity_.limits()); !added) {
        return added;
    }
    if (!show(target, editor)) {
        (void)remove(target.page, editor);
        return std::unexpected{TargetError::no_table_left};
    }
    return {};
}

bool Views::remove(arch::GuestPhysicalAddress page, Editor& editor) {
    return targets_.remove(page) && restore(page, editor);
}

bool Views::settle(const InvalidationDue& due, Editor& editor) {
    bool good = editor.pay(data_, data_.follow(due)) && editor.pay(code_, code_.follow(due));
    for (Tables* const step : steps()) {
        good = editor.pay(*step, step->follow(due)) && good;
    }
    return editor.pay(identity_, due) && good;
}

bool Views::split(arch::GuestPhysicalAddress page, Editor& editor) {
    const auto due = identity_.split(page, Level::page_table);
    return due && settle(*due, editor);
}

bool Views::join(arch::GuestPhysicalAddress page, Level level, Editor& editor) {
    for (Level next = Level::directory; next <= level;
         next = static_cast<Level>(std::to_underlying(next) + 1)) {
        const auto due = identity_.join(page, next);
        if (!due || !settle(*due, editor)) {
            return false;
        }
    }
    return true;
}

bool Views::forget_accesses(arch::GuestPhysicalAddress page, Editor& editor) {
    const Walk walk = identity_.walk(page);
    if (walk.end != WalkEnd::page || walk.last().level != Level::page_table) {
        return false;
    }
    const Entry before = walk.last().entry;
    return settle(identity_.write_raw(page, Level::page_table, before.without_flags()), editor);
}

bool Views::retype(const arch::MtrrSnapshot& after, Editor& editor) {
    for (;;) {
        const Retyped retyped = ept::retype(identity_, mtrrs_, after);
        if (!settle(retyped.due, editor)) {
            return false;
        }
        if (retyped.whole) {
            break;
        }
        if (retyped.due.is_nothing()) {
            return false;  // the pool is too small for this
        }
    }
    mtrrs_ = after;
    for (const Target& target : targets_.all()) {
        if (!show(target, editor)) {
            return false;
        }
    }
    return true;
}

// ---- One processor ------------------------------------------------------------------------------

Pointer ProcessorView::pointer() const {
    switch (view_) {
        case View::data:
            return views_->data().pointer();
        case View::code:
            return views_->code().pointer();
        case View::step:
            return step_->pointer();
    }
    return views_->data().pointer();
}

ProcessorView::Outcome ProcessorView::on_violation(const GuestMemoryEvent& event,
                                                   bool during_delivery,
                                                   const InstructionPlace& place) {
    const Answer answer = answer_to(event, during_delivery, view_, place, views_->targets());
    switch (answer.kind) {
        case Answer::Kind::go_to_data:
            view_ = View::data;
            break;
        case Answer::Kind::go_to_code:
            view_ = View::code;
            break;
        case Answer::Kind::step:
            if (!compose_step(answer)) {
                return Outcome::refused;
            }
            view_ = View::step;
            break;
        case Answer::Kind::not_a_target:
            return Outcome::refused;
    }
    ++changes_[static_cast<std::size_t>(view_)];
    return view_ == View::step ? Outcome::step : Outcome::changed;
}

bool ProcessorView::lead(arch::GuestPhysicalAddress page, const Leaf& leaf) {
    const auto due = step_->map({.guest = page, .bytes = arch::page_bytes, .to = leaf});
    return due && editor_->pay(*step_, *due);
}

/// Frames that the step before has left stay mapped: most steps are in the same page as the last
/// one, and then there is nothing to edit.
bool ProcessorView::compose_step(const Answer& answer) {
    for (std::size_t i = 0; i < composed_.size(); ++i) {
        Composed& now = composed_[i];
        const bool wanted = i < answer.part_count;
        const bool was = now.in_use;
        const bool same = was && wanted && now.target.page == answer.parts[i].target->page;
        const Target old = now.target;
        now.in_use = wanted;
        // A page that is a target no more has been made an ordinary one when it ceased to be.
        const Target* const still = was && !same ? views_->targets().find(old.page) : nullptr;
        if (still != nullptr && !lead(old.page, {.physical = still->data,
                                                 .rights = read_write,
                                                 .type = views_->identity().walk(old.page).type})) {
            return false;
        }
    }
    for (std::size_t i = 0; i < answer.part_count; ++i) {
        const InstructionPart& part = answer.parts[i];
        composed_[i].target = *part.target;
        compose(frames_->frames[i], frames_->before[i],
                ConstPageBytes{pages_.show(pages_.context, 0, part.target->data), arch::page_bytes},
                ConstPageBytes{pages_.show(pages_.context, 1, part.target->code), arch::page_bytes},
                part);
        // The frame is of ordinary memory, whatever the page is.
        const Leaf leaf{.physical = frames_at_ + i * arch::page_bytes, .rights = everything};
        if (step_->walk(part.target->page).physical != leaf.physical &&
            !lead(part.target->page, leaf)) {
            return false;
        }
    }
    return true;
}

void ProcessorView::after_step() {
    for (std::size_t i = 0; i < composed_.size(); ++i) {
        if (composed_[i].in_use) {
            (void)copy_back(PageBytes{pages_.show(pages_.context, 0, composed_[i].target.data),
                                      arch::page_bytes},
                            frames_->frames[i], frames_->before[i]);
        }
    }
    view_ = View::data;
}

std::span<const std::uint8_t> ProcessorView::instruction(const InstructionPlace& place) const {
    const Target* const target = views_->targets().find(place.first);
    const arch::HostPhysicalAddress page =
        target != nullptr
            ? target->code
            : arch::HostPhysicalAddress{place.first.raw() / arch::page_bytes * arch::page_bytes};
    const std::uint64_t offset = place.first.raw() % arch::page_bytes;
    const std::uint64_t left = arch::page_bytes - offset;
    return {reinterpret_cast<const std::uint8_t*>(pages_.show(pages_.context, 1, page) + offset),
            left < most_instruction_bytes ? left : most_instruction_bytes};
}

}  // namespace hvp::ept
