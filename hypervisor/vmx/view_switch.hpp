// Between exits and views: what the stage's hooks do for pages with two faces.
#pragma once

#include "hypervisor/arch/physical_window.hpp"
#include "hypervisor/ept/guest_paging.hpp"
#include "hypervisor/ept/views.hpp"
#include "hypervisor/vmx/virtual_processor.hpp"

namespace hvp::vmx {

/// One processor's views, as its exits use them.
///
/// Where    its functions: VMX root operation, in an exit
class ViewSwitch {
public:
    /// Needs    `window` open in the VMM's page tables; `views` do not move any more
    ViewSwitch(ept::Views& views, ept::Tables& step, ept::StepFrames& frames,
               arch::HostPhysicalAddress frames_at, const arch::PhysicalWindow& window,
               std::uint32_t processor);
    ViewSwitch(const ViewSwitch&) = delete;
    ViewSwitch& operator=(const ViewSwitch&) = delete;

    /// For StageHooks::on_ept_violation and on_step. `by`: what steps are made with.
    [[nodiscard]] AfterViolation on_violation(const ept::GuestMemoryEvent& event, StepBy by);
    [[nodiscard]] ept::Pointer after_step();

    /// This processor forgets what it may remember of EPTs that lay in the same pages before.
    ///
    /// Where    VMX root operation, before the first VM entry
    [[nodiscard]] bool forget();

    [[nodiscard]] ept::Editor& editor() { return editor_; }
    [[nodiscard]] const ept::Editor& editor() const { return editor_; }
    [[nodiscard]] const ept::ProcessorView& view() const { return view_; }

private:
    [[nodiscard]] ept::InstructionPlace place_of(arch::GuestLinearAddress rip) const;

    ept::Views* views_;
    ept::Tables* step_;
    arch::PhysicalWindow window_;
    ept::Editor editor_;
    ept::ProcessorView view_;
};

}  // namespace hvp::vmx
