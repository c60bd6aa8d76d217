// Between exits and views: what the stage's hooks do for pages with two faces.
#pragma once

#include "hypervisor/arch/physical_window.hpp"
#include "hypervisor/guest_memory/page_walk.hpp"
#include "hypervisor/hooks/processor_view.hpp"
#include "hypervisor/vcpu/virtual_processor.hpp"

namespace hvp::vmx {

/// One processor's views, as its exits use them.
///
/// Where    its functions: VMX root operation, in an exit
class ViewSwitch {
public:
    /// Needs    `window` open in the VMM's page tables; `frames` at this host-physical address
    ViewSwitch(ept::Views& views, std::uint32_t processor, ept::StepFrames& frames,
               arch::HostPhysicalAddress frames_at, const arch::PhysicalWindow& window);
    ViewSwitch(const ViewSwitch&) = delete;
    ViewSwitch& operator=(const ViewSwitch&) = delete;

    /// For StageHooks::on_ept_violation and on_step. `by`: what steps are made with.
    [[nodiscard]] AfterViolation on_violation(const ept::GuestMemoryEvent& event, StepBy by);
    [[nodiscard]] ept::Pointer after_step();

    /// Pays for an edit of the views: this processor forgets what was shown before.
    ///
    /// Needs    no other processor that uses the views: it would have to be interrupted
    [[nodiscard]] bool pay();

    /// This processor forgets what it may remember of EPTs that lay in the same pages before.
    ///
    /// Where    VMX root operation, before the first VM entry
    [[nodiscard]] bool forget();

    [[nodiscard]] const ept::ProcessorView& view() const { return view_; }
    /// How many times INVEPT was executed for edits and steps.
    [[nodiscard]] std::uint64_t invalidations() const { return invalidations_; }

private:
    [[nodiscard]] ept::InstructionPlace place_of(arch::GuestLinearAddress rip) const;
    [[nodiscard]] bool invalidate(const ept::PendingInvalidation& due);
    [[nodiscard]] const ept::Limits& limits() const { return views_->identity().limits(); }

    ept::Views* views_;
    std::uint32_t processor_;
    arch::PhysicalWindow window_;
    ept::ProcessorView view_;
    std::uint64_t invalidations_{};
};

}  // namespace hvp::vmx
