// The EPTs of a machine whose memory is mapped to itself, and of which some pages have two faces.
//
// One identity, which no processor uses as it is; over it a data view and a code view for all
// processors together, and a step view for each. They share the identity's tables but for the way
// to each target: at most three tables for each view and each gigabyte in which a target lies.
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

/// Pages for tables, in a row; `links` has a place for each.
struct TableMemory {
    std::span<Table> pages{};
    std::span<std::uint32_t> links{};
    arch::HostPhysicalAddress physical{0};
};

/// Where    everywhere: nothing here executes an instruction. Edits by two processors at once are
/// the caller's to prevent. After an edit, `due_on` says for each processor what INVEPT it owes,
/// and when all have paid, `completed` frees what went out of use.
class Views {
public:
    static constexpr std::uint32_t most_processors = 64;

    /// Pages for one view with targets in so many different stretches of 2 MBytes: its PML4 table,
    /// and a page-directory-pointer table, a directory and a page table for each.
    [[nodiscard]] static constexpr std::size_t pages_of_view(std::size_t stretches) {
        return 1 + 3 * stretches;
    }
    /// What the memory must hold: the identity's tables, and those of each view. To those that
    /// `identity_table_count` says add two for each stretch of 2 MBytes with hidden pages, and what
    /// `retype` shall have room for.
    [[nodiscard]] static constexpr std::size_t pages_needed(std::size_t identity_tables,
                                                            std::uint32_t processors,
                                                            std::size_t stretches) {
        return identity_tables + (2 + processors) * pages_of_view(stretches);
    }

    /// Needs    1 to `most_processors` processors; memory that lives as long
    Views(const TableMemory& memory, std::size_t identity_tables, std::uint32_t processors,
          const Limits& limits);
    Views(const Views&) = delete;
    Views& operator=(const Views&) = delete;

    /// Maps all of memory and begins the views. Once, and before all else.
    [[nodiscard]] std::expected<void, EditError> build(const arch::MtrrSnapshot& mtrrs,
                                                       bool record_accesses);

    /// From now on the processor may remember translations of its views: before its first VM entry.
    void used_by(std::uint32_t processor);
    /// Never again, and it has executed INVEPT for each of them.
    void left_by(std::uint32_t processor);

    /// For the VMCS of this processor.
    [[nodiscard]] Pointer pointer(View view, std::uint32_t processor) const {
        return view_at(index_of(view, processor)).pointer();
    }
    [[nodiscard]] const Tables& identity() const { return *identity_; }
    [[nodiscard]] Tables& tables(View view, std::uint32_t processor) {
        return view_at(index_of(view, processor));
    }
    [[nodiscard]] const Targets& targets() const { return targets_; }
    [[nodiscard]] const arch::MtrrSnapshot& mtrrs() const { return mtrrs_; }

    /// Gives a page its two faces, in all views or, where it is refused, in none.
    [[nodiscard]] std::expected<void, TargetError> add(const Target& target);

    /// The page is one page again, as before; tables of the views that nothing needs are given
    /// back.
    ///
    /// Returns  whether it was a target
    bool remove(arch::GuestPhysicalAddress page);

    /// Whoever looks into these pages sees one decoy page for all of them, and changes only that.
    /// For the VMM's own memory. It cannot be executed: there the VMM would not know what runs.
    [[nodiscard]] std::expected<void, EditError> hide(arch::GuestPhysicalAddress start,
                                                      std::uint64_t bytes,
                                                      arch::HostPhysicalAddress decoy);

    /// The MTRRs have changed: all pages get the types that their frames have now. The decoy keeps
    /// its own: nobody but guests behind these views uses it.
    ///
    /// Returns  false: no table was left for a part of it; see `ept::retype`
    [[nodiscard]] bool retype(const arch::MtrrSnapshot& after);

    /// Cuts the large page that the address lies in down to 4 KBytes, in all views.
    [[nodiscard]] std::expected<void, EditError> split(arch::GuestPhysicalAddress page);

    /// Makes one page of this level of its parts again, which cuts had made.
    [[nodiscard]] std::expected<void, EditError> join(arch::GuestPhysicalAddress page, Level level);

    /// The processors shall note anew whether the page is used, and whether it is written to.
    ///
    /// Returns  whether it is a page of 4 KBytes in the identity
    [[nodiscard]] bool forget_accesses(arch::GuestPhysicalAddress page);

    /// Prepares the processor's step view for one instruction: each part's page leads to the frame
    /// of the same number, and allows everything.
    ///
    /// Returns  what this processor must do before it goes there, and before the next edit; it
    ///          includes all that the step view owed, so that counts as done
    [[nodiscard]] PendingInvalidation begin_step(std::uint32_t processor,
                                                 std::span<const InstructionPart> parts,
                                                 std::span<const arch::HostPhysicalAddress> frames);

    /// The step is over: its pages lead to the data faces again. What is due for that, the next
    /// `begin_step` will say, early enough.
    void end_step(std::uint32_t processor, std::span<const InstructionPart> parts);

    /// What this processor owes for all edits since `completed`: one INVEPT for each that is not
    /// nothing.
    [[nodiscard]] std::array<PendingInvalidation, 3> due_on(std::uint32_t processor) const;

    /// All processors have executed what `due_on` said.
    void completed();

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
    [[nodiscard]] Mapping face_in(std::size_t view, const Target& target) const;
    void owe(std::size_t view, const PendingInvalidation& due);
    void settle(std::size_t view);
    void follow(const PendingInvalidation& edit_of_identity);

    Limits limits_;
    std::size_t view_count_;
    TablePool identity_pool_;
    std::array<std::optional<TablePool>, most_views> pools_;
    std::optional<Tables> identity_;
    std::array<std::optional<Tables>, most_views> views_;
    PendingInvalidation identity_due_;
    std::array<PendingInvalidation, most_views> due_{};
    Targets targets_;
    arch::MtrrSnapshot mtrrs_{};
};

}  // namespace hvp::ept
