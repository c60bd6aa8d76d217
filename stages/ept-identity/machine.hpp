// The VMM's side of this stage: what it answers to EPT violations, to the guest's calls, and to its
// MTRRs. It runs in VMX root operation, on memory that was taken before.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <span>

#include "hypervisor/arch/address_space.hpp"
#include "hypervisor/exits/handler_table.hpp"
#include "hypervisor/exits/virtual_mtrrs.hpp"
#include "hypervisor/hooks/view_switch.hpp"
#include "hypervisor/vcpu/virtual_processor.hpp"
#include "stages/ept-identity/guest.hpp"

namespace hvp::identity_stage {

/// One change of the view, and why.
struct ViewChange {
    ept::GuestMemoryEvent event{};
    ept::View to{};
    bool goes_on{};  ///< the guest tries the access again
};

/// One page that was watched, as the processor's flags have it.
struct Touched {
    bool read_or_written{};
    bool written{};
    bool logged{};  ///< in the page-modification log
};

/// How a large page was split.
struct PageSplit {
    ept::Level before{};
    std::uint64_t right_parts{};  ///< parts that lead where they did, with the same rights and type
    ept::Level after{};           ///< after the merge
};

/// What a write of an MTRR made of the identity.
struct MtrrWrite {
    std::uint32_t msr{};
    std::uint64_t value{};
    arch::MemoryType type{};  ///< of the range that the guest means, in the EPT
    bool followed{};          ///< the EPT was changed as the write wants it
    bool processors_own{};    ///< the processor's register has that value now
    std::uint64_t tables{};
};

/// Where things lie that this stage works on.
struct Places {
    arch::GuestPhysicalAddress target{0};
    arch::HostPhysicalAddress other{0};
    arch::GuestPhysicalAddress watched{0};
    arch::HostPhysicalAddress frames{0};
    arch::GuestPhysicalAddress mtrr_range{0};
};

class Machine {
public:
    static constexpr std::uint32_t processors = 1;

    Machine(const ept::TableMemory& tables, std::size_t identity_tables, const ept::Limits& limits,
            const Places& places)
        : views_{tables, identity_tables, processors, limits}, limits_{limits}, places_{places} {}

    /// Maps all of memory, but for what is hidden: there the guest finds the decoy.
    [[nodiscard]] std::expected<void, ept::EditError> build(
        const arch::MtrrSnapshot& mtrrs, std::span<const arch::MappedRange> hidden,
        arch::HostPhysicalAddress decoy);

    /// The processor that enters the guest soon.
    void begin(ept::StepFrames& frames, std::span<const std::uint64_t> log,
               const arch::PhysicalWindow& window);

    /// `processor`: has what steps are made with, and whether there is a page-modification log.
    void use(const vmx::VirtualProcessor& processor) { processor_ = &processor; }

    // What the handlers of exits ask, in VMX root operation.
    [[nodiscard]] vmx::AfterViolation on_violation(const ept::GuestMemoryEvent& event);
    [[nodiscard]] ept::Pointer after_step() { return switch_->after_step(); }
    [[nodiscard]] bool on_call(std::uint64_t call);
    [[nodiscard]] std::optional<std::uint64_t> on_mtrr_read(arch::Msr msr) const {
        return mtrrs_->read(msr);
    }
    [[nodiscard]] bool on_mtrr_write(arch::Msr msr, std::uint64_t value);
    void take_log();

    [[nodiscard]] const ept::SplitViews& views() const { return views_; }
    /// How many tables map all of memory, before anything is hidden.
    [[nodiscard]] std::size_t tables_of_all() const { return tables_of_all_; }
    /// Which pages the entries of these tables map.
    [[nodiscard]] const ept::PageCounts& pages_of_all() const { return pages_of_all_; }
    [[nodiscard]] auto epts() const { return vmx::all_views(views_, 0); }

    [[nodiscard]] std::span<const ViewChange> changes() const {
        return {changes_.data(), change_count_};
    }
    [[nodiscard]] std::span<const Touched> touched() const { return touched_; }
    [[nodiscard]] const PageSplit& page_split() const { return page_split_; }
    [[nodiscard]] std::span<const MtrrWrite> mtrr_writes() const {
        return {mtrr_writes_.data(), mtrr_write_count_};
    }
    [[nodiscard]] std::uint64_t invalidations() const { return switch_->invalidations(); }
    [[nodiscard]] std::uint64_t steps() const {
        return switch_->view().changes_to(ept::View::step);
    }

private:
    [[nodiscard]] bool follow(const arch::MtrrSnapshot& after);
    [[nodiscard]] bool watch();
    [[nodiscard]] bool end_watch();
    [[nodiscard]] const ept::Tables& data_view() { return views_.tables(ept::View::data, 0); }

    ept::SplitViews views_;
    ept::Limits limits_;
    Places places_;
    const vmx::VirtualProcessor* processor_{};
    std::span<const std::uint64_t> log_{};
    std::optional<vmx::ViewSwitch> switch_{};
    std::optional<vmx::VirtualMtrrs> mtrrs_{};

    std::array<ViewChange, 64> changes_{};
    std::size_t change_count_{};
    std::array<Touched, watched_pages> touched_{};
    PageSplit page_split_{};
    std::array<MtrrWrite, 8> mtrr_writes_{};
    std::size_t mtrr_write_count_{};
    std::size_t tables_of_all_{};
    ept::PageCounts pages_of_all_{};
};

/// The VMM's table of handlers, with those of the exits that the machine answers.
[[nodiscard]] vmx::ExitPath exit_path(Machine& machine, const vmx::VirtualProcessor& processor);
/// The same without a trace.
[[nodiscard]] vmx::ExitPath untraced_exit_path(Machine& machine,
                                               const vmx::VirtualProcessor& processor);
/// For the trace.
extern const vmx::HandlerNames handler_names;

}  // namespace hvp::identity_stage
