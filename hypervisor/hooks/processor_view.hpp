// The view that one processor is in, and switching it at EPT violations.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "hypervisor/hooks/split_views.hpp"

namespace hvp::ept {

/// How the VMM reaches physical pages: at `place` 0 or 1, one page at a time.
struct PageAccess {
    std::byte* (*show)(void* context, std::size_t place, arch::HostPhysicalAddress page);
    void* context;
};

/// Frames for one step: of the instruction's page, and of the next.
struct StepFrames {
    using Bytes = std::array<std::byte, arch::page_bytes>;
    alignas(arch::page_bytes) std::array<Bytes, 2> frames{};
    std::array<Bytes, 2> before{};
};

/// Where    in VMX root operation of the processor `processor`; it works on memory only
class ProcessorView {
public:
    /// Needs    `frames` at this host-physical address
    ProcessorView(SplitViews& views, std::uint32_t processor, StepFrames& frames,
                  arch::HostPhysicalAddress frames_at, PageAccess pages)
        : views_{&views},
          processor_{processor},
          frames_{&frames},
          frames_at_{frames_at},
          pages_{pages} {}

    [[nodiscard]] View view() const { return view_; }
    [[nodiscard]] Pointer pointer() const { return views_->pointer(view_, processor_); }

    /// The result of an EPT violation.
    struct Outcome {
        enum class Kind : std::uint8_t {
            refused,  ///< no view allows this
            changed,  ///< the access can be tried again in the view that is now current
            step,     ///< the same, for one instruction; then `after_step` is called
        };
        Kind kind{};
    };
    [[nodiscard]] Outcome on_violation(const GuestMemoryEvent& event, bool during_delivery,
                                       const InstructionPlace& place);

    /// What is to be executed before a step, once `on_violation` has said that there is one.
    [[nodiscard]] const PendingInvalidation& before_step() const { return before_step_; }

    /// One instruction has been executed in the step view, or a part of it before another exit:
    /// copies what it wrote to the data frames.
    void after_step();

    /// The first bytes of the instruction, as far as they lie in its first page: the bytes that the
    /// processor executes, not those that can be read.
    [[nodiscard]] std::span<const std::uint8_t> instruction(const InstructionPlace& place) const;

    /// How many violations have switched to this view.
    [[nodiscard]] std::uint64_t changes_to(View view) const {
        return changes_[static_cast<std::size_t>(view)];
    }

private:
    [[nodiscard]] PendingInvalidation begin_step(const ViolationResponse& step);
    [[nodiscard]] std::span<const InstructionPart> parts() const {
        return std::span{step_.parts}.first(step_.part_count);
    }

    SplitViews* views_;
    std::uint32_t processor_;
    StepFrames* frames_;
    arch::HostPhysicalAddress frames_at_;
    PageAccess pages_;
    View view_{View::data};
    ViolationResponse step_{};  ///< the step that is being made
    PendingInvalidation before_step_{};
    std::array<std::uint64_t, 3> changes_{};
};

inline ProcessorView::Outcome ProcessorView::on_violation(const GuestMemoryEvent& event,
                                                          bool during_delivery,
                                                          const InstructionPlace& place) {
    const ViolationResponse response =
        respond_to(event, during_delivery, view_, place, views_->split_pages());
    Outcome outcome{.kind = Outcome::Kind::changed};
    switch (response.kind) {
        case ViolationResponse::Kind::switch_to_data:
            view_ = View::data;
            break;
        case ViolationResponse::Kind::switch_to_code:
            view_ = View::code;
            break;
        case ViolationResponse::Kind::step:
            outcome = {.kind = Outcome::Kind::step};
            before_step_ = begin_step(response);
            view_ = View::step;
            break;
        case ViolationResponse::Kind::not_split:
            return {};
    }
    ++changes_[static_cast<std::size_t>(view_)];
    return outcome;
}

}  // namespace hvp::ept
