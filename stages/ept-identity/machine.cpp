#include "stages/ept-identity/machine.hpp"

#include <utility>

namespace hvp::identity_stage {
namespace {

constexpr std::size_t log_entries = words_of_page;

arch::GuestPhysicalAddress nth_page(arch::GuestPhysicalAddress first, std::size_t n) {
    return first + n * arch::page_bytes;
}

// ---- The exits that this stage answers itself ---------------------------------------------------

vmx::AfterEvent on_ept_violation(vmx::Exit exit, Machine& machine) {
    const ept::GuestMemoryEvent event = vmx::guest_memory_event(exit, false);
    return vmx::after_violation(exit, event, machine.on_violation(event));
}

ept::Pointer on_step_end(vmx::Exit, Machine& machine, bool) {
    return machine.after_step();
}

vmx::Next on_rdmsr(vmx::Exit exit, Machine& machine) {
    return vmx::answer_rdmsr(exit, [&](arch::Msr msr) { return machine.on_mtrr_read(msr); });
}

vmx::Next on_wrmsr(vmx::Exit exit, Machine& machine) {
    return vmx::answer_wrmsr(exit, [&](arch::Msr msr, std::uint64_t value) {
        return machine.on_mtrr_write(msr, value);
    });
}

vmx::AfterEvent on_page_modification_log_full(vmx::Exit exit, Machine& machine) {
    machine.take_log();
    return vmx::restart_page_modification_log(exit);
}

vmx::Next on_vmcall(vmx::Exit exit, Machine& machine) {
    return vmx::answer_vmcall(exit, [&](std::uint64_t call, std::uint64_t) {
        return machine.on_call(call) ? std::optional<std::uint64_t>{0} : std::nullopt;
    });
}

constexpr auto handlers =
    vmx::default_handlers.with<vmx::ExitReason::ept_violation, on_ept_violation>()
        .with_step_end<on_step_end>()
        .with_msrs<vmx::msr_policies_with_mtrrs>()
        .with<vmx::ExitReason::rdmsr, on_rdmsr>()
        .with<vmx::ExitReason::wrmsr, on_wrmsr>()
        .with<vmx::ExitReason::page_modification_log_full, on_page_modification_log_full>()
        .with<vmx::ExitReason::vmcall, on_vmcall>();

}  // namespace

constinit const vmx::HandlerNames handler_names = handlers.names;

vmx::ExitPath exit_path(Machine& machine, const vmx::VirtualProcessor& processor) {
    machine.use(processor);
    return vmx::exit_path<handlers, vmx::Traced<false>>(machine);
}

vmx::ExitPath untraced_exit_path(Machine& machine, const vmx::VirtualProcessor& processor) {
    machine.use(processor);
    return vmx::exit_path<handlers>(machine);
}

std::expected<void, ept::EditError> Machine::build(const arch::MtrrSnapshot& mtrrs,
                                                   std::span<const arch::MappedRange> hidden,
                                                   arch::HostPhysicalAddress decoy) {
    const bool records_accesses = limits_.capability.accessed_and_dirty != 0;
    if (const auto built = views_.build(mtrrs, records_accesses); !built) {
        return built;
    }
    tables_of_all_ = views_.identity().pool().used();
    pages_of_all_ = views_.identity().count_pages();
    for (const arch::MappedRange& range : hidden) {
        const auto hides = views_.hide(arch::GuestPhysicalAddress{range.physical.raw()},
                                       range.pages * arch::page_bytes, decoy);
        if (!hides) {
            return hides;
        }
    }
    mtrrs_.emplace(mtrrs, arch::mtrr_address_bits());
    views_.flush_done();  // no processor uses it yet
    return {};
}

void Machine::begin(ept::StepFrames& frames, std::span<const std::uint64_t> log,
                    const arch::PhysicalWindow& window) {
    views_.attach(0);
    switch_.emplace(views_, 0, frames, places_.frames, window);
    log_ = log;
}

// ---- At exits -----------------------------------------------------------------------------------

vmx::AfterViolation Machine::on_violation(const ept::GuestMemoryEvent& event) {
    if (change_count_ == changes_.size()) {
        return {};  // a guest that goes on like this comes to no end
    }
    const vmx::AfterViolation answer = switch_->on_violation(event, processor_->step.by);
    ViewChange& change = changes_[change_count_++];
    change.event = event;
    change.to = switch_->view().view();
    change.goes_on = answer.goes_on;
    return answer;
}

bool Machine::on_call(std::uint64_t call) {
    switch (static_cast<Call>(call)) {
        case Call::install_hook:
            // The page itself is what reads and writes find; execution meets the other one.
            return views_.add({.page = places_.target,
                               .data = arch::HostPhysicalAddress{places_.target.raw()},
                               .code = places_.other}) &&
                   switch_->flush();
        case Call::remove_hook:
            return views_.remove(places_.target) && switch_->flush();
        case Call::watch:
            return watch();
        case Call::end_watch:
            return end_watch();
    }
    return false;
}

/// The types of the EPT's entries are our copy of what the guest's MTRRs say, and follow them. The
/// processor's MTRRs stay.
/// [SDM 3C 28.2.6.2 "Memory Type Used for Translated Guest-Physical Addresses"]
bool Machine::on_mtrr_write(arch::Msr msr, std::uint64_t value) {
    const std::optional<arch::MtrrSnapshot> after = mtrrs_->after_write(msr, value);
    if (!after) {
        return false;
    }
    // A system that changes several switches the MTRRs off around that, and its caches too. The
    // types of then matter to nobody, and the EPT follows once, when they are on again.
    // [SDM 3A 11.11.7.2 "MemTypeSet() Function"]
    const bool followed = after->default_type.enabled == 0 || follow(*after);
    if (followed) {
        mtrrs_->use(*after);
    }
    if (mtrr_write_count_ < mtrr_writes_.size()) {
        mtrr_writes_[mtrr_write_count_++] = {
            .msr = std::to_underlying(msr),
            .value = value,
            .type = views_.identity().walk(places_.mtrr_range).type,
            .followed = followed,
            .processors_own = arch::rdmsr(msr) == value,
            .tables = views_.identity().pool().used()};
    }
    return followed;
}

bool Machine::follow(const arch::MtrrSnapshot& after) {
    const bool followed = views_.update_memory_types(after);
    return switch_->flush() && followed;
}

// ---- Who touches what ---------------------------------------------------------------------------

bool Machine::watch() {
    constexpr std::size_t parts = ept::entries_of_table;
    const ept::Walk before = views_.identity().walk(places_.watched);
    page_split_.before = before.last().level;
    if (!views_.split(places_.watched)) {
        return false;
    }
    for (std::size_t i = 0; i < parts; ++i) {
        const auto page = nth_page(places_.watched, i);
        const ept::Walk after = data_view().walk(page);
        const bool same = after.physical.raw() == page.raw() && after.rights == before.rights &&
                          after.type == before.type && after.last().level == ept::Level::page_table;
        page_split_.right_parts += same ? 1 : 0;
    }
    for (std::size_t i = 0; i < watched_pages; ++i) {
        if (!views_.clear_accessed_flags(nth_page(places_.watched, i))) {
            return false;
        }
    }
    return switch_->flush();
}

bool Machine::end_watch() {
    for (std::size_t i = 0; i < watched_pages; ++i) {
        const ept::Entry entry = views_.identity().walk(nth_page(places_.watched, i)).last().entry;
        touched_[i].read_or_written = entry.accessed();
        touched_[i].written = entry.dirty();
    }
    take_log();
    const bool joined = views_.merge(places_.watched, page_split_.before).has_value();
    page_split_.after = data_view().walk(places_.watched).last().level;
    return switch_->flush() && joined;
}

/// The processor fills the log from its end downwards, and has stopped before the index.
/// [SDM 3C 28.2.5 "Page-Modification Logging"]
void Machine::take_log() {
    if (!processor_->write_log) {
        return;
    }
    const std::uint16_t index = vmx::UncheckedVmcs{}.read(vmx::guest_pml_index);
    const std::size_t first = index < log_entries ? index + 1U : 0U;
    for (std::size_t i = first; i < log_entries; ++i) {
        const std::uint64_t page = (log_[i] - places_.watched.raw()) / arch::page_bytes;
        if (log_[i] >= places_.watched.raw() && page < watched_pages) {
            touched_[page].logged = true;
        }
    }
}

}  // namespace hvp::identity_stage
