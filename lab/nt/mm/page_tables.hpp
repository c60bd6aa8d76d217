// The kernel's page tables: which linear page is which frame, and what may be done there.
#pragma once

#include <cstdint>
#include <optional>

#include "lab/nt/mm/layout.hpp"

namespace hvp::lab::mm {

/// How the processor caches a page; the numbers are NT's MEMORY_CACHING_TYPE.
/// [Windows: MEMORY_CACHING_TYPE enumeration]
enum class Caching : std::uint32_t { uncached = 0, cached = 1, write_combined = 2 };

/// What may be done with a page. Every page can be read.
struct Protection {
    bool writable{};
    bool executable{};
    Caching caching{Caching::cached};
};

inline constexpr Protection read_only{};
inline constexpr Protection read_write{.writable = true};
inline constexpr Protection read_write_execute{.writable = true, .executable = true};

/// An entry of any level; at the last but one, `large` ends the walk.
/// [SDM 3A 4.5 "4-Level Paging and 5-Level Paging", Table 4-19]
struct PageTableEntry {
    std::uint64_t present : 1 {};
    std::uint64_t writable : 1 {};
    std::uint64_t user : 1 {};
    std::uint64_t write_through : 1 {};
    std::uint64_t cache_disable : 1 {};
    std::uint64_t accessed : 1 {};
    std::uint64_t dirty : 1 {};
    std::uint64_t large : 1 {};
    std::uint64_t global : 1 {};
    std::uint64_t ignored_11_9 : 3 {};
    std::uint64_t frame : 40 {};
    std::uint64_t ignored_62_52 : 11 {};
    std::uint64_t execute_disable : 1 {};
};
static_assert(sizeof(PageTableEntry) == sizeof(std::uint64_t));

/// A new PML4, empty but for itself in its self-map slot, which `map` fills from now on although
/// the processor still uses the firmware's. Load its address into CR3 when the kernel is in it.
///
/// Where    while RAM is still mapped one to one
[[nodiscard]] PhysicalAddress create_address_space(bool execute_disable_works);

/// Maps one page that was not mapped. False: no memory for a page table.
[[nodiscard]] bool map(LinearAddress page, PhysicalAddress frame, Protection protection);

/// Changes what may be done with mapped pages, on all processors.
void protect(LinearAddress first, std::uint64_t pages, Protection protection);

/// Where the address lies in physical memory; nothing if an access would fault.
[[nodiscard]] std::optional<PhysicalAddress> translate(LinearAddress address);

/// The entry that decides over the address, or nothing if no table reaches that far.
[[nodiscard]] std::optional<PageTableEntry> entry_for(LinearAddress address);

/// The lowest address of the kernel's half at which the frame is mapped in a page of its own.
[[nodiscard]] std::optional<LinearAddress> find_mapping(PhysicalAddress physical);

/// Maps `pages` pages onto single frames. False, and nothing mapped: out of memory.
[[nodiscard]] bool map_fresh(LinearAddress first, std::uint64_t pages, Protection protection);

/// Ends the mappings of `pages` pages on all processors; their frames stay taken.
void unmap(LinearAddress first, std::uint64_t pages);

/// Ends the mappings of `pages` pages on all processors, then gives their frames back.
void unmap_and_free(LinearAddress first, std::uint64_t pages);

}  // namespace hvp::lab::mm
