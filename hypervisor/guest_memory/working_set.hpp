// The set of pages that a guest needs: what it touches, and every table through which the
// processor finds that.
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

/// A page of the set.
struct NeededPage {
    arch::GuestPhysicalAddress page{0};
    Rights rights{};
    Role role{};
    arch::GuestLinearAddress linear{0};  ///< the first linear address that needed it
    Role first_use{};                    ///< what lies at that address
};

/// Linear addresses that the guest uses.
struct NeededRange {
    arch::GuestLinearAddress linear{0};
    std::uint64_t bytes{};
    Role role{};
    Rights rights{};
};

/// Why the set could not be made.
enum class NeedError : std::uint8_t {
    not_mapped,  ///< the guest itself could not reach the address
    too_many,    ///< more pages than the set has room for
};

/// A set of at most `capacity` pages.
class WorkingSet {
public:
    static constexpr std::size_t capacity = 96;

    /// Adds the pages of the range, and the tables on the way to each.
    [[nodiscard]] std::expected<void, NeedError> add(const NeededRange& range,
                                                     const GuestPaging& paging,
                                                     GuestMemoryReader memory);

    /// The page that the address lies in; null: the guest has no business there.
    [[nodiscard]] const NeededPage* find(arch::GuestPhysicalAddress address) const;

    [[nodiscard]] std::span<const NeededPage> pages() const { return {pages_.data(), count_}; }

    /// The least number of table pages with which an EPT can map the set, in pages of 4 KBytes: one
    /// PML4 table, and one table for each different prefix of the addresses at each level.
    [[nodiscard]] std::size_t least_tables() const;

private:
    [[nodiscard]] bool put(const NeededPage& page);

    std::array<NeededPage, capacity> pages_{};
    std::size_t count_{};
};

}  // namespace hvp::ept
