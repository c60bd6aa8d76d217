// The view that one processor is in, and the way from one to the next.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "hypervisor/hooks/split_views.hpp"

namespace hvp::ept {

/// How to look at pages: at `place` 0 or 1, one page at a time.
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
    ProcessorView(Views& views, std::uint32_t processor, StepFrames& frames,
                  arch::HostPhysicalAddress frames_at, PageAccess pages)
        : views_{&views},
          processor_{processor},
          frames_{&frames},
          frames_at_{frames_at},
          pages_{pages} {}

    [[nodiscard]] View view() const { return view_; }
    [[nodiscard]] Pointer pointer() const { return views_->pointer(view_, processor_); }

    /// What came of an EPT violation.
    struct Outcome {
        enum class Kind : std::uint8_t {
            refused,  ///< no view allows this
            changed,  ///< the access can be tried again in the view that is now current
            step,     ///< … for one instruction; then comes `after_step`
        };
        Kind kind{};
        PendingInvalidation due{};  ///< before the step
    };
    [[nodiscard]] Outcome on_violation(const GuestMemoryEvent& event, bool during_delivery,
                                       const InstructionPlace& place);

    /// One instruction has been executed in the step view, or as much of it as there was until
    /// another exit came: what it wrote goes to the data faces.
    void after_step();

    /// The first bytes of the instruction, as far as they lie in its first page: what the processor
    /// executes, not what can be read.
    [[nodiscard]] std::span<const std::uint8_t> instruction(const InstructionPlace& place) const;

    /// How many violations have led to this view.
    [[nodiscard]] std::uint64_t changes_to(View view) const {
        return changes_[static_cast<std::size_t>(view)];
    }

private:
    [[nodiscard]] PendingInvalidation begin_step(const Answer& answer);
    [[nodiscard]] std::span<const InstructionPart> parts() const {
        return std::span{step_.parts}.first(step_.part_count);
    }

    Views* views_;
    std::uint32_t processor_;
    StepFrames* frames_;
    arch::HostPhysicalAddress frames_at_;
    PageAccess pages_;
    View view_{View::data};
    Answer step_{};  ///< what is being stepped
    std::array<std::uint64_t, 3> changes_{};
};

}  // namespace hvp::ept
