#include "hypervisor/hooks/view_switch.hpp"

#include <bit>

#include "hypervisor/exits/single_step.hpp"

namespace hvp::vmx {
namespace {

// Places of the window: two frames of a split page, and the guest's page tables.
constexpr std::size_t place_for_tables = 2;

/// The guest's physical addresses equal the host's.
bool read_guest(void* window, arch::GuestPhysicalAddress where, std::uint64_t& value) {
    const arch::HostPhysicalAddress page{arch::page_of(where).raw()};
    __builtin_memcpy(
        &value,
        static_cast<const arch::PhysicalWindow*>(window)->show(place_for_tables, page) +
            arch::offset_in_page(where),
        sizeof value);
    return true;
}

std::byte* show_page(void* window, std::size_t place, arch::HostPhysicalAddress page) {
    return static_cast<const arch::PhysicalWindow*>(window)->show(place, page);
}

}  // namespace

ViewSwitch::ViewSwitch(ept::SplitViews& views, std::uint32_t processor, ept::StepFrames& frames,
                       arch::HostPhysicalAddress frames_at, const arch::PhysicalWindow& window)
    : views_{&views},
      processor_{processor},
      window_{window},
      view_{views, processor, frames, frames_at, {.show = show_page, .context = &window_}} {}

/// Where the instruction at RIP lies, by the guest's own page tables. Page 0, which is never split,
/// where they do not map it: they have changed since the fetch, or there was none yet.
ept::InstructionPlace ViewSwitch::place_of(arch::GuestLinearAddress rip) const {
    const std::uint64_t cr3 = UncheckedVmcs{}.read(guest_cr3);
    const std::uint64_t addresses = (1ULL << limits().physical_address_bits) - 1;
    const auto read_entry = [addresses, window = window_](arch::GuestPhysicalAddress table,
                                                          std::size_t index) {
        // Bits above MAXPHYADDR would be reserved ones in the window's own entry.
        const std::byte* const entries =
            window.show(place_for_tables, arch::HostPhysicalAddress{table.raw() & addresses});
        std::uint64_t entry{};
        __builtin_memcpy(&entry, entries + index * sizeof entry, sizeof entry);
        return entry;
    };
    ept::InstructionPlace place{
        .first = ept::translate_used(cr3, rip, read_entry).value_or(arch::GuestPhysicalAddress{0})};
    if (ept::may_cross(rip.raw())) {
        place.next_page = next_page_of(cr3, rip);
    }
    return place;
}

std::optional<arch::GuestPhysicalAddress> ViewSwitch::next_page_of(
    std::uint64_t cr3, arch::GuestLinearAddress rip) const {
    const ept::GuestPaging paging{.cr3 = cr3,
                                  .physical_address_bits = limits().physical_address_bits,
                                  .no_execute_enabled = true,
                                  .pages_1_gb = true};
    const ept::GuestMemoryReader reader{read_guest, const_cast<arch::PhysicalWindow*>(&window_)};
    const std::uint64_t in_page = rip.raw() % arch::page_bytes;
    const ept::GuestWalk next =
        walk_guest_tables(paging, rip + (arch::page_bytes - in_page), reader);
    return next.end == ept::GuestWalkEnd::page ? std::optional{next.physical} : std::nullopt;
}

AfterViolation ViewSwitch::on_violation(const ept::GuestMemoryEvent& event, StepBy by) {
    const bool during_delivery = is_during_delivery(UncheckedVmcs{});
    // During the delivery of an event RIP is an instruction that was perhaps never fetched.
    const bool is_of_instruction = event.qualification.execute == 0 && !during_delivery;
    const ept::InstructionPlace place =
        is_of_instruction ? place_of(event.guest_rip) : ept::InstructionPlace{};
    using Kind = ept::ProcessorView::Outcome::Kind;
    const auto outcome = view_.on_violation(event, during_delivery, place);
    if (outcome.kind == Kind::changed) {
        return {.goes_on = true, .ept = view_.pointer()};
    }
    if (outcome.kind == Kind::refused ||
        (outcome.kind == Kind::step && !invalidate(view_.before_step()))) {
        return {};
    }
    if (by == StepBy::trap_flag && cannot_be_stepped_by_trap_flag(view_.instruction(place))) {
        return {};
    }
    return {.goes_on = true, .ept = view_.pointer(), .for_one_instruction = true};
}

ept::Pointer ViewSwitch::after_step() {
    view_.after_step();
    return view_.pointer();
}

bool ViewSwitch::invalidate(const ept::PendingInvalidation& pending) {
    if (!ept::invalidate_here(pending, processor_, limits().capability)) {
        return false;
    }
    invalidations_ += pending.processors.has(processor_) ? 1 : 0;
    return true;
}

bool ViewSwitch::flush() {
    for (const ept::PendingInvalidation& pending : views_->pending_on(processor_)) {
        if (!invalidate(pending)) {
            return false;
        }
    }
    views_->flush_done();
    return true;
}

std::array<std::optional<ept::Pointer>, 3> all_views(const ept::SplitViews& views,
                                                     std::uint32_t processor) {
    return {views.pointer(ept::View::data, processor), views.pointer(ept::View::code, processor),
            views.pointer(ept::View::step, processor)};
}

}  // namespace hvp::vmx
