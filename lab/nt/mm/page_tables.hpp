// The kernel's page tables: which frame each linear page is mapped to, and its protection.
#pragma once

#include <cstdint>
#include <optional>

#include "hypervisor/arch/page_table_entry.hpp"
#include "lab/nt/mm/layout.hpp"

namespace hvp::lab::mm {

/// How the processor caches a page; the numbers are NT's MEMORY_CACHING_TYPE.
/// [Windows: MEMORY_CACHING_TYPE enumeration]
enum class Caching : std::uint32_t { uncached = 0, cached = 1, write_combined = 2 };

/// A page's protection. Every page can be read.
struct Protection {
    bool writable{};
    bool executable{};
    Caching caching{Caching::cached};
};

inline constexpr Protection read_only{};
inline constexpr Protection read_write{.writable = true};
inline constexpr Protection read_write_execute{.writable = true, .executable = true};

using arch::PageTableEntry;

/// A new PML4, empty but for its self-map entry, which `map` fills from now on although the
/// processor still uses the firmware's. Load its address into CR3 when the kernel is mapped in it.
///
/// Where    while RAM is still mapped one to one
[[nodiscard]] PhysicalAddress create_address_space(bool execute_disable_works);

/// Maps one page that was not mapped. False: no memory for a page table.
[[nodiscard]] bool map(LinearAddress page, PhysicalAddress frame, Protection protection);

/// Changes the protection of mapped pages, on all processors.
void protect(LinearAddress first, std::uint64_t pages, Protection protection);

/// Where the address lies in physical memory; nothing if an access would fault.
[[nodiscard]] std::optional<PhysicalAddress> translate(LinearAddress address);

/// The entry that maps the address, or nothing if a table above it does not exist.
[[nodiscard]] std::optional<PageTableEntry> entry_for(LinearAddress address);

/// The lowest address of the kernel's half at which the frame is mapped in a page of its own.
[[nodiscard]] std::optional<LinearAddress> find_mapping(PhysicalAddress physical);

/// Maps `pages` pages onto single frames. False, and nothing mapped: out of memory.
[[nodiscard]] bool map_fresh(LinearAddress first, std::uint64_t pages, Protection protection);

/// Ends the mappings of `pages` pages on all processors; their frames stay allocated.
void unmap(LinearAddress first, std::uint64_t pages);

/// The two halves of `unmap_and_free`. Between them comes a TLB shootdown.
void hide(LinearAddress first, std::uint64_t pages);
void free_unmapped(LinearAddress first, std::uint64_t pages);

/// Ends the mappings of `pages` pages on all processors, then frees their frames.
void unmap_and_free(LinearAddress first, std::uint64_t pages);

}  // namespace hvp::lab::mm
