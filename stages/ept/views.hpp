// The VMM's side of this stage: which page the guest gets at which moment. It runs in VMX root
// operation, so it works on memory that was taken before, and calls nothing of the host.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <span>

#include "hypervisor/ept/tables.hpp"
#include "hypervisor/guest_memory/working_set.hpp"
#include "hypervisor/vcpu/virtual_processor.hpp"

namespace hvp::ept_stage {

/// The answer to an EPT violation: first what is wanted, then what the EPT has.
enum class Answer : std::uint8_t {
    page_given,  ///< the page is the guest's, and was not mapped yet
    data_view,   ///< reads of the target's page see the target from now on
    code_view,   ///< execution there meets the other function from now on
    refused,     ///< the guest may not use it
    not_mapped,  ///< it may, but the EPT does not map it
};

/// One EPT violation.
struct ViolationRecord {
    ept::GuestMemoryEvent event{};
    Answer answer{};
    ept::Rights mapped{};  ///< what the EPT allows afterwards
    /// For which page of the set, by its number there; none: for one outside.
    std::optional<std::size_t> needed{};
};

/// Where the two functions lie in host-physical memory.
struct Functions {
    arch::HostPhysicalAddress target{0};
    arch::HostPhysicalAddress other{0};
};

/// What the EPT maps when the guest starts.
enum class InitialMap : std::uint8_t { nothing, everything_needed };

/// Maps each page of the set to itself, with the rights that the guest needs there.
///
/// Needs    no processor uses the tables yet
[[nodiscard]] std::expected<void, ept::EditError> map_all(ept::Tables& tables,
                                                          const ept::WorkingSet& needed);

/// A guest's EPT, and what is done with it while the guest runs.
class Views {
public:
    /// Needs    `pool` is not used by another EPT, and `processor` is where the guest will run
    [[nodiscard]] static std::expected<Views, ept::EditError> create(
        ept::TablePool& pool, const ept::Limits& limits, const ept::WorkingSet& needed,
        const Functions& functions, std::uint32_t processor, InitialMap initial_map);

    [[nodiscard]] const ept::Tables& tables() const { return tables_; }

    // What the handlers of exits ask, in VMX root operation.
    [[nodiscard]] bool on_violation(const ept::GuestMemoryEvent& event);
    [[nodiscard]] bool on_call(std::uint64_t call);

    /// Whether reads can see one page and execution another. Without execute-only pages the code
    /// view could be read as well, and the attack seen.
    [[nodiscard]] bool can_split() const { return limits_.capability.execute_only != 0; }

    [[nodiscard]] std::span<const ViolationRecord> violations() const {
        return {violations_.data(), violation_count_};
    }
    /// How many times INVEPT was executed for an edit.
    [[nodiscard]] std::uint64_t invalidations() const { return invalidations_; }
    [[nodiscard]] std::uint64_t edits() const { return edits_; }

private:
    Views(ept::Tables tables, const ept::Limits& limits, const ept::WorkingSet& needed,
          const Functions& functions, std::uint32_t processor)
        : tables_{std::move(tables)},
          limits_{limits},
          needed_{&needed},
          functions_{functions},
          processor_{processor} {}

    [[nodiscard]] Answer answer(const ept::GuestMemoryEvent& event,
                                const ept::WorkingSetPage* page) const;
    [[nodiscard]] bool carry_out(Answer answer, const ept::WorkingSetPage& page);
    void note_what_is_mapped(ViolationRecord& record) const;
    [[nodiscard]] bool show(arch::GuestPhysicalAddress page, const ept::Leaf& leaf);
    [[nodiscard]] arch::GuestPhysicalAddress target_page() const {
        return arch::GuestPhysicalAddress{functions_.target.raw()};
    }

    ept::Tables tables_;
    ept::Limits limits_;
    const ept::WorkingSet* needed_;
    Functions functions_;
    std::uint32_t processor_;
    bool split_{};
    std::uint64_t invalidations_{};
    std::uint64_t edits_{};
    std::size_t violation_count_{};
    std::array<ViolationRecord, 64> violations_{};
};

/// The VMM's table of handlers, with those of the exits that the views answer.
[[nodiscard]] vmx::ExitPath exit_path(Views& views);
/// The same without a trace.
[[nodiscard]] vmx::ExitPath untraced_exit_path(Views& views);

}  // namespace hvp::ept_stage
