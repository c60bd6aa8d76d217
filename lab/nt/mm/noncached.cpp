// MmAllocateNonCachedMemory and MmFreeNonCachedMemory: whole pages that the processor does not
// cache.
#include "lab/nt/mm/noncached.hpp"

#include <bit>

#include "lab/nt/examiner/rules.hpp"
#include "lab/nt/ke/bugcheck.hpp"
#include "lab/nt/rtl/export.hpp"

namespace hvp::lab::mm {
namespace {

constexpr int fresh_content = 0xA7;

}  // namespace

void free_noncached(Block& block, std::uint64_t freed_by) {
    unmap_and_free(block.first_page(), block.pages);
    end_block(block, freed_by);
}

/// [Windows: MmAllocateNonCachedMemory] The pages are not contiguous in physical memory.
NT_EXPORT void* MmAllocateNonCachedMemory(std::uint64_t bytes) {
    const auto caller = examiner::caller(__builtin_return_address(0));
    examiner::check_irql_at_most(ke::Irql::apc,
                                 {"MmAllocateNonCachedMemory", examiner::memory_call_irql, caller});
    if (bytes == 0 || examiner::must_fail_allocation("MmAllocateNonCachedMemory")) {
        return nullptr;
    }
    const std::uint64_t pages = pages_for(bytes);
    Block* const block = pool_region().reserve(pages);
    if (block == nullptr ||
        !map_fresh(block->first_page(), pages, {.writable = true, .caching = Caching::uncached})) {
        return nullptr;
    }
    void* const memory = std::bit_cast<void*>(block->address);
    __builtin_memset(memory, fresh_content, pages * page_bytes);
    block->kind = BlockKind::noncached;
    block->caching = Caching::uncached;
    begin_block(*block, bytes, Owner::driver, caller);
    return memory;
}

/// [Windows: MmFreeNonCachedMemory] With the size that was asked for.
NT_EXPORT void MmFreeNonCachedMemory(std::uint64_t address, std::uint64_t bytes) {
    const auto caller = examiner::caller(__builtin_return_address(0));
    examiner::check_irql_at_most(ke::Irql::apc,
                                 {"MmFreeNonCachedMemory", examiner::memory_call_irql, caller});
    Block* const block = pool_region().find_live(address, BlockKind::noncached);
    if (block == nullptr) {
        constexpr std::uint64_t never_allocated = 0x46;
        rtl::Sentence detail{"MmFreeNonCachedMemory was given "};
        detail.hex(address).put(", which MmAllocateNonCachedMemory did not return");
        ke::bug_check({.code = ke::BugCheckCode::bad_pool_caller,
                       .parameters = {never_allocated, 0, 0, address},
                       .detail = detail.view()});
    }
    if (bytes != block->bytes) {
        rtl::Sentence detail{"MmFreeNonCachedMemory was given "};
        detail.decimal(bytes).put(" bytes for a block of ").decimal(block->bytes);
        examiner::report_finding("FreedDifferently", detail, examiner::no_verifier_code, caller);
    }
    free_noncached(*block, caller);
}

}  // namespace hvp::lab::mm
