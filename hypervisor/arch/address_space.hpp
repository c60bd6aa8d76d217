// Page tables of the VMM: they map its own memory and nothing else.
//
// The host system's page tables change while the VMM runs, belong to a process that may end, and
// map everything that an error in the VMM could overwrite. The VMM's own map what it needs: its
// code,
// read-only; its data; its stacks with unmapped pages between them. [SDM 3A 4.5 "4-Level Paging and 5-Level Paging"]
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <span>

#include "hypervisor/arch/address.hpp"
#include "hypervisor/arch/page_table_entry.hpp"
#include "hypervisor/arch/physical_window.hpp"

namespace hvp::arch {

using PageTable = std::array<PageTableEntry, 512>;
static_assert(sizeof(PageTable) == page_bytes);

/// What may be done with a page.
enum class Access : std::uint8_t { read, read_write, read_execute };

/// Consecutive pages, in linear and in physical addresses.
struct MappedRange {
    HostLinearAddress linear{0};
    HostPhysicalAddress physical{0};
    std::size_t pages{};
    Access access{};
};

/// Why a page could not be mapped.
enum class MapError : std::uint8_t {
    no_table_left,   ///< the reserve of table pages is used up
    mapped_already,  ///< at another place, or with other rights
};

/// A set of page tables in a reserve of consecutive pages that was allocated before.
class AddressSpace {
public:
    /// Needs    `reserve`: zeroed pages; the first becomes the top level.
    AddressSpace(std::span<PageTable> reserve, HostPhysicalAddress physical)
        : reserve_{reserve}, physical_{physical} {}

    /// Maps 4-KByte pages, write-back, in supervisor mode only, not global: a global translation
    /// would outlive the change of CR3 by which the VMM is left.
    /// [SDM 3A 4.10.2.4 "Global Pages"]
    [[nodiscard]] std::expected<void, MapError> map(const MappedRange& range);

    /// Opens a window of 512 places, which show nothing yet. Its entries are mapped
    /// for the VMM itself, where they are.
    ///
    /// Needs    `start`: a multiple of 2 MBytes where nothing is mapped
    [[nodiscard]] std::expected<PhysicalWindow, MapError> open_window(HostLinearAddress start);

    /// What to load into CR3.
    [[nodiscard]] std::uint64_t cr3() const { return physical_.raw(); }

    /// Where a linear address leads, or nothing. For tests and for reports.
    [[nodiscard]] const PageTableEntry* find(HostLinearAddress linear) const;

    [[nodiscard]] std::size_t tables_used() const { return used_; }

private:
    [[nodiscard]] PageTable& table_at(PageTableEntry entry) const;
    [[nodiscard]] std::expected<PageTableEntry*, MapError> entry_for(HostLinearAddress linear);

    std::span<PageTable> reserve_;
    HostPhysicalAddress physical_;
    std::size_t used_{1};
};

}  // namespace hvp::arch
