// The EPTs of a machine whose memory is mapped to itself, with split pages in it.
//
// One identity map, which no processor uses itself; over it a data view and a code view that all
// processors share, and a step view for each processor. They share the identity's tables but for
// the way to each split page: at most three tables for each view and each gigabyte in which a split
// page lies.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <span>

#include "hypervisor/arch/mtrr.hpp"
#include "hypervisor/ept/identity.hpp"
#include "hypervisor/ept/tables.hpp"
#include "hypervisor/hooks/split_page.hpp"

namespace hvp::ept {

/// Consecutive pages for tables; `links` has an element for each.
struct TableMemory {
    std::span<Table> pages{};
    std::span<std::uint32_t> links{};
    arch::HostPhysicalAddress physical{0};
};

/// After an edit, `pending_on` returns for each processor the INVEPT that is pending there; when
/// all processors have executed theirs (a TLB shootdown), `flush_done` frees the retired tables.
/// Where    everywhere: nothing here executes an instruction. The caller prevents that two
///          processors edit at once.
class SplitViews {
public:
    static constexpr std::uint32_t most_processors = 64;

    /// Pages for one view with split pages in so many different 2-MByte regions: its PML4 table,
    /// and a page-directory-pointer table, a directory and a page table for each region.
    [[nodiscard]] static constexpr std::size_t pages_of_view(std::size_t regions) {
        return 1 + 3 * regions;
    }
    /// How many pages the memory must have: for the identity's tables, and for those of each view.
    /// `identity_tables`: what `identity_table_count` returns, and two for each 2-MByte region with
    /// hidden pages, and the tables that later calls of `update_memory_types` may need.
    [[nodiscard]] static constexpr std::size_t pages_needed(std::size_t identity_tables,
                                                            std::uint32_t processors,
                                                            std::size_t regions) {
        return identity_tables + (2 + processors) * pages_of_view(regions);
    }

    /// Processors have numbers of their own here, from 0 on: not those of the system, which may be
    /// larger than all that have views.
    ///
    /// Needs    1 to `most_processors` processors, or `build` fails; memory that lives as long as the
    ///          views
    SplitViews(const TableMemory& memory, std::size_t identity_tables, std::uint32_t processors,
               const Limits& limits);
    SplitViews(const SplitViews&) = delete;
    SplitViews& operator=(const SplitViews&) = delete;

    /// Maps all of memory and creates the views. Once, and before anything else.
    [[nodiscard]] std::expected<void, EditError> build(const arch::MtrrSnapshot& mtrrs,
                                                       bool record_accesses);

    /// From now on the processor may cache translations of its views: before its first VM entry.
    void attach(std::uint32_t processor);
    /// The processor does not use its views any more, and has executed INVEPT for each of them.
    void detach(std::uint32_t processor);

    /// For the VMCS of this processor.
    [[nodiscard]] Pointer pointer(View view, std::uint32_t processor) const {
        return view_at(index_of(view, processor)).pointer();
    }
    [[nodiscard]] const Tables& identity() const { return *identity_; }
    [[nodiscard]] Tables& tables(View view, std::uint32_t processor) {
        return view_at(index_of(view, processor));
    }
    [[nodiscard]] const SplitPages& split_pages() const { return split_pages_; }
    [[nodiscard]] const arch::MtrrSnapshot& mtrrs() const { return mtrrs_; }

    /// Splits a page into its data frame and its code frame, in all views or, on an error, in none.
    [[nodiscard]] std::expected<void, SplitPageError> add(const SplitPage& page);

    /// The page is one page again, as before; tables of the views that are no longer needed are
    /// retired.
    ///
    /// Returns  whether the page was split
    bool remove(arch::GuestPhysicalAddress page);

    /// Hides pages, such as the VMM's own memory: reads and writes of all of them find one decoy
    /// page. It cannot be executed, since no one can say what code it holds.
    [[nodiscard]] std::expected<void, EditError> hide(arch::GuestPhysicalAddress start,
                                                      std::uint64_t bytes,
                                                      arch::HostPhysicalAddress decoy);

    /// The MTRRs have changed: all pages get the types that their frames have now. The decoy keeps
    /// its own: only the guests use it.
    ///
    /// Returns  false: no table was left, and all types are as before
    [[nodiscard]] bool update_memory_types(const arch::MtrrSnapshot& after);

    /// Splits the large page that the address lies in into pages of 4 KBytes, in all views.
    [[nodiscard]] std::expected<void, EditError> split(arch::GuestPhysicalAddress page);

    /// Undoes such splits: the parts become one page of this level again.
    [[nodiscard]] std::expected<void, EditError> merge(arch::GuestPhysicalAddress page,
                                                       Level level);

    /// Clears the accessed and dirty flags of the page: the processors set them at its next use.
    ///
    /// Returns  whether it is a page of 4 KBytes in the identity
    [[nodiscard]] bool clear_accessed_flags(arch::GuestPhysicalAddress page);

    /// Prepares the processor's step view for one instruction: each part's page leads to the frame
    /// of the same number, and allows everything.
    ///
    /// Returns  the invalidation that this processor must execute before it uses the view, and
    ///          before the next edit; it includes the deferred ones of the step view
    [[nodiscard]] PendingInvalidation begin_step(std::uint32_t processor,
                                                 std::span<const InstructionPart> parts,
                                                 std::span<const arch::HostPhysicalAddress> frames);

    /// The step is over: its pages lead to the data frames again. The invalidation for that is
    /// deferred to the next `begin_step`.
    void end_step(std::uint32_t processor, std::span<const InstructionPart> parts);

    /// What is pending on this processor after all edits since `flush_done`: one INVEPT for each
    /// element that is not empty.
    [[nodiscard]] std::array<PendingInvalidation, 3> pending_on(std::uint32_t processor) const;

    /// All processors have executed what `pending_on` returned for them.
    void flush_done();

private:
    static constexpr std::size_t data = 0;
    static constexpr std::size_t code = 1;
    static constexpr std::size_t first_step = 2;
    static constexpr std::size_t most_views = first_step + most_processors;

    [[nodiscard]] static std::size_t index_of(View view, std::uint32_t processor) {
        return view == View::data ? data : view == View::code ? code : first_step + processor;
    }
    [[nodiscard]] Tables& view_at(std::size_t index) { return *views_[index]; }
    [[nodiscard]] const Tables& view_at(std::size_t index) const { return *views_[index]; }
    [[nodiscard]] Mapping mapping_for(std::size_t view, const SplitPage& page) const;
    void defer(std::size_t view, const PendingInvalidation& more);
    void flush_done(std::size_t view);
    void sync_views(const PendingInvalidation& edit_of_identity);

    Limits limits_;
    std::size_t view_count_;
    bool is_too_small_;  ///< for so many processors
    TablePool identity_pool_;
    std::array<std::optional<TablePool>, most_views> pools_;
    std::optional<Tables> identity_;
    std::array<std::optional<Tables>, most_views> views_;
    PendingInvalidation identity_pending_;
    std::array<PendingInvalidation, most_views> pending_{};
    SplitPages split_pages_;
    arch::MtrrSnapshot mtrrs_{};
};

}  // namespace hvp::ept
