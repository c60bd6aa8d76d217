// The views of one machine: the identity, two views over it for pages with two faces, and for each
// processor a third one, for one instruction at a time.
//
// A processor changes its view by another EPT pointer in its own VMCS; no entry changes, so the
// others need not know. Only what changes the views themselves, a target more or less, a page cut
// or joined, other memory types, is an edit, and owes every processor an INVEPT.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <span>

#include "hypervisor/ept/faces.hpp"
#include "hypervisor/ept/identity.hpp"
#include "hypervisor/ept/tables.hpp"

namespace hvp::ept {

/// Pages that the guest must not reach: in their place it finds one page of zeroes, which is the
/// same for all of them.
struct Hidden {
    arch::HostPhysicalAddress start{0};
    std::size_t pages{};
};

/// Pools for the tables of each view.
struct ViewPools {
    TablePool& identity;
    TablePool& data;
    TablePool& code;
};

/// What all processors share.
class Views {
public:
    static constexpr std::size_t most_processors = 8;

    /// Builds the identity, hides what is to be hidden, and lays the views over it.
    [[nodiscard]] static std::expected<Views, EditError> create(const ViewPools& pools,
                                                                const Limits& limits,
                                                                const arch::MtrrSnapshot& mtrrs,
                                                                std::span<const Hidden> hidden,
                                                                arch::HostPhysicalAddress decoy);

    /// A processor's step view, over the same identity; it has a place here from now on.
    ///
    /// Needs    Views that do not move any more, and fewer than `most_processors` before
    [[nodiscard]] std::expected<Tables, EditError> create_step_view(TablePool& pool) const {
        return Tables::create_over(pool, identity_);
    }
    void add_step_view(Tables& step) { steps_[step_count_++] = &step; }

    /// The processor uses all of them from now on; or never again, and has forgotten them.
    void used_by(std::uint32_t processor);
    void left_by(std::uint32_t processor);

    // Each edit is carried out here, and paid for by `editor`. Where other processors use the
    // views, it must be able to make them forget, too; see `Editor`.

    /// Gives a page two faces.
    [[nodiscard]] std::expected<void, TargetError> add(const Target& target, class Editor& editor);
    /// Makes it an ordinary page again.
    [[nodiscard]] bool remove(arch::GuestPhysicalAddress page, Editor& editor);
    /// Cuts the page that the address lies in down to 4 KBytes.
    [[nodiscard]] bool split(arch::GuestPhysicalAddress page, Editor& editor);
    /// Makes one page of this level of its parts again.
    [[nodiscard]] bool join(arch::GuestPhysicalAddress page, Level level, Editor& editor);
    /// The processor shall note anew whether the page is used, and written to.
    ///
    /// Needs    a page of 4 KBytes that is no target
    [[nodiscard]] bool forget_accesses(arch::GuestPhysicalAddress page, Editor& editor);
    /// The MTRRs have changed.
    [[nodiscard]] bool retype(const arch::MtrrSnapshot& after, Editor& editor);

    [[nodiscard]] const Tables& identity() const { return identity_; }
    [[nodiscard]] const Tables& data() const { return data_; }
    [[nodiscard]] const Tables& code() const { return code_; }
    [[nodiscard]] const Targets& targets() const { return targets_; }
    [[nodiscard]] const arch::MtrrSnapshot& mtrrs() const { return mtrrs_; }

private:
    Views(Tables identity, Tables data, Tables code, const arch::MtrrSnapshot& mtrrs)
        : identity_{std::move(identity)},
          data_{std::move(data)},
          code_{std::move(code)},
          mtrrs_{mtrrs} {}

    [[nodiscard]] bool show(const Target& target, Editor& editor);
    [[nodiscard]] bool restore(arch::GuestPhysicalAddress page, Editor& editor);
    /// An edit of the identity is one of all views.
    [[nodiscard]] bool settle(const InvalidationDue& due, Editor& editor);
    [[nodiscard]] std::span<Tables* const> steps() const { return {steps_.data(), step_count_}; }

    Tables identity_;
    Tables data_;
    Tables code_;
    Targets targets_{};
    arch::MtrrSnapshot mtrrs_{};
    std::array<Tables*, most_processors> steps_{};
    std::size_t step_count_{};
};

/// Whoever edits: a processor in VMX root operation, or a driver while no guest runs.
class Editor {
public:
    Editor(std::uint32_t processor, const Capability& capability)
        : processor_{processor}, capability_{capability} {}

    /// Makes this processor forget. An edit that others would have to forget as well is refused:
    /// they would have to be interrupted, which is nothing that this stage of things can do.
    [[nodiscard]] bool pay(Tables& tables, const InvalidationDue& due);

    /// How many times INVEPT was executed.
    [[nodiscard]] std::uint64_t invalidations() const { return invalidations_; }
    [[nodiscard]] std::uint32_t processor() const { return processor_; }

private:
    std::uint32_t processor_;
    Capability capability_;
    std::uint64_t invalidations_{};
};

/// How a view looks at pages: at `place` 0 or 1, one at a time.
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

/// The view that one processor is in.
class ProcessorView {
public:
    /// Needs    `frames` at this host-physical address; `step` has a place in `views`
    ProcessorView(const Views& views, Tables& step, StepFrames& frames,
                  arch::HostPhysicalAddress frames_at, PageAccess pages, Editor& editor)
        : views_{&views},
          step_{&step},
          frames_{&frames},
          frames_at_{frames_at},
          pages_{pages},
          editor_{&editor} {}

    [[nodiscard]] View view() const { return view_; }
    [[nodiscard]] Pointer pointer() const;

    /// What came of an EPT violation.
    enum class Outcome : std::uint8_t {
        refused,  ///< no view allows this
        changed,  ///< the access can be tried again in the view that is now current
        step,     ///< … for one instruction; then comes `after_step`
    };
    [[nodiscard]] Outcome on_violation(const GuestMemoryEvent& event, bool during_delivery,
                                       const InstructionPlace& place);

    /// One instruction has been executed in the step view, or as much of it as there was until
    /// another exit came: what it wrote goes to the data faces.
    void after_step();

    /// The first bytes of the instruction, as far as they lie in its first page: what the processor
    /// executes, not what can be read.
    [[nodiscard]] std::span<const std::uint8_t> instruction(const InstructionPlace& place) const;

    /// How many violations have led to each view.
    [[nodiscard]] std::uint64_t changes_to(View view) const {
        return changes_[static_cast<std::size_t>(view)];
    }

private:
    [[nodiscard]] bool compose_step(const Answer& answer);
    [[nodiscard]] bool lead(arch::GuestPhysicalAddress page, const Leaf& leaf);

    /// A target whose page leads to a frame of ours in the step view.
    struct Composed {
        Target target{};
        bool in_use{};
    };

    const Views* views_;
    Tables* step_;
    StepFrames* frames_;
    arch::HostPhysicalAddress frames_at_;
    PageAccess pages_;
    Editor* editor_;
    View view_{View::data};
    std::array<Composed, 2> composed_{};
    std::array<std::uint64_t, 3> changes_{};
};

}  // namespace hvp::ept
