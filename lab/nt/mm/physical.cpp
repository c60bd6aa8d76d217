// Queries about physical memory: the ranges of RAM, and the address at which a page is mapped.
#include <array>
#include <bit>

#include "lab/nt/ex/pool.hpp"
#include "lab/nt/examiner/rules.hpp"
#include "lab/nt/mm/frames.hpp"
#include "lab/nt/mm/page_tables.hpp"
#include "lab/nt/rtl/export.hpp"

namespace hvp::lab::mm {
namespace {

/// [Windows: MmGetPhysicalMemoryRanges] PHYSICAL_MEMORY_RANGE.
struct MemoryRange {
    std::uint64_t base{};
    std::uint64_t bytes{};
};

constexpr std::uint32_t ranges_tag = 0x6850'6D4D;  // "MmPh"

}  // namespace

/// [Windows: MmGetPhysicalMemoryRanges] RAM only; an entry of zeros ends the array, which the
/// driver frees with ExFreePool.
NT_EXPORT void* MmGetPhysicalMemoryRanges() {
    const auto caller = examiner::caller(__builtin_return_address(0));
    examiner::check_irql_at_most(ke::Irql::passive,
                                 {"MmGetPhysicalMemoryRanges", examiner::api_irql, caller});
    if (examiner::must_fail_allocation("MmGetPhysicalMemoryRanges")) {
        return nullptr;
    }
    // Windows leaves the first page alone.
    const std::array<MemoryRange, 3> ranges{
        {{.base = page_bytes, .bytes = low_memory_end - page_bytes},
         {.base = high_memory_start, .bytes = end_of_memory().raw() - high_memory_start},
         {}}};
    void* const block = ex::allocate({.bytes = sizeof(ranges),
                                      .tag = ranges_tag,
                                      .owner = Owner::driver,
                                      .allocated_by = caller});
    if (block != nullptr) {
        __builtin_memcpy(block, ranges.data(), sizeof(ranges));
    }
    return block;
}

/// Undocumented. The address at which the kernel has mapped a page of RAM; for a page table that is
/// its address in the self-map. Null for what is not mapped.
NT_EXPORT std::uint64_t MmGetVirtualForPhysical(std::uint64_t physical) {
    examiner::check_stack("MmGetVirtualForPhysical", examiner::caller(__builtin_return_address(0)));
    const auto page = find_mapping(PhysicalAddress{physical});
    return page ? page->raw() + physical % page_bytes : 0;
}

}  // namespace hvp::lab::mm
