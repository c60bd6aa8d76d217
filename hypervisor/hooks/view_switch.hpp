// Between exits and views: what the exit handlers of a stage with split pages do.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "hypervisor/arch/physical_window.hpp"
#include "hypervisor/exits/ept.hpp"
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
    ViewSwitch(ept::SplitViews& views, std::uint32_t processor, ept::StepFrames& frames,
               arch::HostPhysicalAddress frames_at, const arch::PhysicalWindow& window);
    ViewSwitch(const ViewSwitch&) = delete;
    ViewSwitch& operator=(const ViewSwitch&) = delete;

    /// For a handler of EPT violations and one of a step's end. `by`: how single steps are made.
    [[nodiscard]] AfterViolation on_violation(const ept::GuestMemoryEvent& event, StepBy by);
    [[nodiscard]] ept::Pointer after_step();

    /// After an edit of the views: executes the INVEPTs that are pending on this processor.
    ///
    /// Needs    no other processor that uses the views: that would need a TLB shootdown
    [[nodiscard]] bool flush();

    [[nodiscard]] const ept::ProcessorView& view() const { return view_; }
    /// How many times INVEPT was executed after edits and for steps.
    [[nodiscard]] std::uint64_t invalidations() const { return invalidations_; }

private:
    [[nodiscard]] ept::InstructionPlace place_of(arch::GuestLinearAddress rip) const;
    [[nodiscard]] std::optional<arch::GuestPhysicalAddress> next_page_of(
        std::uint64_t cr3, arch::GuestLinearAddress rip) const;
    [[nodiscard]] bool invalidate(const ept::PendingInvalidation& pending);
    [[nodiscard]] const ept::Limits& limits() const { return views_->identity().limits(); }

    ept::SplitViews* views_;
    std::uint32_t processor_;
    arch::PhysicalWindow window_;
    ept::ProcessorView view_;
    std::uint64_t invalidations_{};
};

/// The EPTs of one processor's views, for GuestOptions: a guest starts on the data view.
[[nodiscard]] std::array<std::optional<ept::Pointer>, 3> all_views(const ept::SplitViews& views,
                                                                   std::uint32_t processor);

}  // namespace hvp::vmx
