// The working set of a guest: the pages that it accesses, and every page table that the processor
// reads on the way to them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <span>

#include "hypervisor/ept/tables.hpp"
#include "hypervisor/guest_memory/page_walk.hpp"

namespace hvp::ept {

/// What a page is for. The first four are tables of the guest, in the order of a walk.
enum class Role : std::uint8_t { pml4, pointers, directory, page_table, code, stack, data, system };

[[nodiscard]] constexpr const char* name_of(Role role) {
    switch (role) {
        case Role::pml4:
            return "PML4 table";
        case Role::pointers:
            return "page-directory-pointer table";
        case Role::directory:
            return "page directory";
        case Role::page_table:
            return "page table";
        case Role::code:
            return "code";
        case Role::stack:
            return "stack";
        case Role::data:
            return "data";
        case Role::system:
            return "descriptor table";
    }
    return "unknown";
}

/// A page of the working set.
struct WorkingSetPage {
    arch::GuestPhysicalAddress page{0};
    Rights rights{};
    Role role{};
    arch::GuestLinearAddress linear{0};  ///< the first linear address that needed it
    Role first_use{};                    ///< what lies at that address
};

/// Linear addresses that the guest uses.
struct WorkingSetRange {
    arch::GuestLinearAddress linear{0};
    std::uint64_t bytes{};
    Role role{};
    Rights rights{};
};

/// Why the set could not be computed.
enum class WorkingSetError : std::uint8_t {
    not_mapped,  ///< the guest itself could not reach the address
    too_many,    ///< more pages than the set has room for
};

/// A set of at most `capacity` pages.
class WorkingSet {
public:
    static constexpr std::size_t capacity = 96;

    /// Adds the pages of the range, and the tables on the way to each.
    [[nodiscard]] std::expected<void, WorkingSetError> add(const WorkingSetRange& range,
                                                           const GuestPaging& paging,
                                                           GuestMemoryReader memory);

    /// The page that the address lies in; null: it is not in the set.
    [[nodiscard]] const WorkingSetPage* find(arch::GuestPhysicalAddress address) const;

    [[nodiscard]] std::span<const WorkingSetPage> pages() const { return {pages_.data(), count_}; }

    /// The least number of table pages with which an EPT can map the set, in pages of 4 KBytes: one
    /// PML4 table, and one table for each different prefix of the addresses at each level.
    [[nodiscard]] std::size_t least_tables() const;

private:
    [[nodiscard]] bool put(const WorkingSetPage& page);

    std::array<WorkingSetPage, capacity> pages_{};
    std::size_t count_{};
};

}  // namespace hvp::ept
