#include "stages/ept/views.hpp"

#include <optional>

#include "hypervisor/exits/handler_table.hpp"
#include "stages/ept/guest.hpp"

namespace hvp::ept_stage {
namespace {

using ept::Leaf;

/// One to one: the guest's physical address is the machine's. All of the set is RAM, so its memory
/// type is write-back; what MTRRs say of other memory, the next stage asks.
Leaf identity(const ept::WorkingSetPage& page) {
    return {.physical = arch::HostPhysicalAddress{page.page.raw()}, .rights = page.rights};
}

// ---- The exits that this stage answers itself ---------------------------------------------------

vmx::AfterEvent on_ept_violation(vmx::Exit exit, Views& views) {
    const ept::GuestMemoryEvent event = vmx::guest_memory_event(exit, false);
    return vmx::after_violation(exit, event, {.goes_on = views.on_violation(event)});
}

vmx::Next on_vmcall(vmx::Exit exit, Views& views) {
    return vmx::answer_vmcall(exit, [&](std::uint64_t call, std::uint64_t) {
        return views.on_call(call) ? std::optional<std::uint64_t>{0} : std::nullopt;
    });
}

constexpr auto handlers =
    vmx::default_handlers.with<vmx::ExitReason::ept_violation, on_ept_violation>()
        .with<vmx::ExitReason::vmcall, on_vmcall>();

}  // namespace

vmx::ExitPath exit_path(Views& views) {
    return vmx::exit_path<handlers, vmx::Traced<false>>(views);
}

vmx::ExitPath untraced_exit_path(Views& views) {
    return vmx::exit_path<handlers>(views);
}

std::expected<Views, ept::EditError> Views::create(ept::TablePool& pool, const ept::Limits& limits,
                                                   const ept::WorkingSet& needed,
                                                   const Functions& functions,
                                                   std::uint32_t processor,
                                                   InitialMap initial_map) {
    auto tables = ept::Tables::create(pool, limits);
    if (!tables) {
        return std::unexpected{tables.error()};
    }
    if (initial_map == InitialMap::everything_needed) {
        if (const auto mapped = map_all(*tables, needed); !mapped) {
            return std::unexpected{mapped.error()};
        }
    }
    tables->attach(processor);
    return Views{std::move(*tables), limits, needed, functions, processor};
}

std::expected<void, ept::EditError> map_all(ept::Tables& tables, const ept::WorkingSet& needed) {
    for (const ept::WorkingSetPage& page : needed.pages()) {
        const auto pending =
            tables.map({.guest = page.page, .bytes = arch::page_bytes, .to = identity(page)});
        if (!pending) {
            return std::unexpected{pending.error()};
        }
        // No processor uses it yet, so nothing is pending.
        tables.flush_done(*pending);
    }
    return {};
}

// ---- At an EPT violation ------------------------------------------------------------------------

bool Views::on_violation(const ept::GuestMemoryEvent& event) {
    if (violation_count_ == violations_.size()) {
        return false;  // a guest that goes on like this never ends
    }
    const ept::WorkingSetPage* const page = needed_->find(event.guest_physical);
    ViolationRecord& record = violations_[violation_count_++];
    record = {.event = event, .answer = answer(event, page)};
    if (page != nullptr) {
        record.needed = static_cast<std::size_t>(page - needed_->pages().data());
    }
    const bool goes_on = record.answer != Answer::refused && carry_out(record.answer, *page);
    note_what_is_mapped(record);
    return goes_on;
}

/// The report tells what is in the EPT, not what should be.
void Views::note_what_is_mapped(ViolationRecord& record) const {
    const ept::Walk walk = tables_.walk(record.event.guest_physical);
    const bool is_mapped = walk.end == ept::WalkEnd::page;
    record.mapped = is_mapped ? walk.rights : ept::Rights{};
    if (record.answer == Answer::refused) {
        return;
    }
    if (!is_mapped) {
        record.answer = Answer::not_mapped;
    } else if (arch::page_of(walk.physical) == functions_.other) {
        record.answer = Answer::code_view;
    } else if (split_ && arch::page_of(walk.physical) == functions_.target) {
        record.answer = Answer::data_view;
    } else {
        record.answer = Answer::page_given;
    }
}

Answer Views::answer(const ept::GuestMemoryEvent& event, const ept::WorkingSetPage* page) const {
    if (page == nullptr) {
        return Answer::refused;
    }
    const ept::Rights wanted = ept::wanted_by(event.qualification);
    if (split_ && page->page == target_page()) {
        if (wanted.write) {
            return Answer::refused;
        }
        return wanted.execute ? Answer::code_view : Answer::data_view;
    }
    const bool is_mapped = tables_.walk(event.guest_physical).end == ept::WalkEnd::page;
    const bool may = (wanted & page->rights) == wanted;
    return !is_mapped && may ? Answer::page_given : Answer::refused;
}

/// Each view allows no more than what it is for, so that the other kind of access is a violation
/// again, by which we get to know of it.
bool Views::carry_out(Answer answer, const ept::WorkingSetPage& page) {
    switch (answer) {
        case Answer::page_given:
            return show(page.page, identity(page));
        case Answer::data_view:
            return show(page.page, {.physical = functions_.target, .rights = ept::read_only});
        case Answer::code_view:
            return show(page.page, {.physical = functions_.other, .rights = ept::execute_only});
        case Answer::refused:
        case Answer::not_mapped:
            return false;
    }
    return false;
}

// ---- At a call of the guest ---------------------------------------------------------------------

bool Views::on_call(std::uint64_t call) {
    const Leaf as_it_is{.physical = functions_.target, .rights = ept::read_execute};
    switch (static_cast<Call>(call)) {
        case Call::redirect:
            return show(target_page(), {.physical = functions_.other, .rights = ept::read_execute});
        case Call::put_back:
            return show(target_page(), as_it_is);
        case Call::split:
            if (!can_split()) {
                return false;
            }
            split_ = true;
            return show(target_page(), {.physical = functions_.target, .rights = ept::read_only});
        case Call::join:
            split_ = false;
            return show(target_page(), as_it_is);
    }
    return false;
}

/// Changes what one page leads to, and flushes what the processor may have cached of it.
bool Views::show(arch::GuestPhysicalAddress page, const Leaf& leaf) {
    const auto pending = tables_.map({.guest = page, .bytes = arch::page_bytes, .to = leaf});
    if (!pending) {
        return false;
    }
    ++edits_;
    if (!ept::invalidate_here(*pending, processor_, limits_.capability)) {
        return false;
    }
    invalidations_ += pending->empty() ? 0 : 1;
    tables_.flush_done(*pending);
    return true;
}

}  // namespace hvp::ept_stage
