// MmAllocateContiguousMemory and its variants.
#include "lab/nt/mm/contiguous.hpp"

#include <bit>

#include "lab/nt/examiner/rules.hpp"
#include "lab/nt/ke/bugcheck.hpp"
#include "lab/nt/rtl/export.hpp"

namespace hvp::lab::mm {
namespace {

// Fill bytes: the content is not zero when the driver gets it, and is overwritten at the free.
constexpr int fresh_content = 0xA6;
constexpr int freed_content = 0xDE;

void* allocate_for_driver(examiner::FunctionName function, std::uint64_t bytes, RunRequest request,
                          Protection protection, std::uint64_t caller) {
    examiner::check_irql_at_most(ke::Irql::dispatch,
                                 {function, examiner::memory_call_irql, caller});
    if (examiner::must_fail_allocation(function)) {
        return nullptr;
    }
    return allocate_contiguous(bytes, request, protection, caller);
}

/// The protections that the call allows.  [Windows: Memory Protection Constants]
std::optional<Protection> protection_of(std::uint32_t protect) {
    constexpr std::uint32_t page_readwrite = 0x04;
    constexpr std::uint32_t page_execute_readwrite = 0x40;
    constexpr std::uint32_t page_nocache = 0x200;
    constexpr std::uint32_t page_writecombine = 0x400;
    const std::uint32_t access = protect & 0xFF;
    const std::uint32_t modifier = protect & ~0xFFU;
    if ((access != page_readwrite && access != page_execute_readwrite) ||
        (modifier != 0 && modifier != page_nocache && modifier != page_writecombine)) {
        return std::nullopt;
    }
    return Protection{.writable = true,
                      .executable = access == page_execute_readwrite,
                      .caching = modifier == page_nocache        ? Caching::uncached
                                 : modifier == page_writecombine ? Caching::write_combined
                                                                 : Caching::cached};
}

Block& live_block(examiner::FunctionName function, std::uint64_t address, std::uint64_t caller) {
    examiner::check_irql_at_most(ke::Irql::dispatch,
                                 {function, examiner::memory_call_irql, caller});
    if (Block* const block = contiguous_region().find_live(address, BlockKind::contiguous)) {
        return *block;
    }
    const Block* const near = contiguous_region().near(LinearAddress{address});
    constexpr std::uint64_t bad_contiguous_address = 0x60;
    rtl::Sentence detail{function};
    detail.put(" was given ").hex(address);
    if (near != nullptr && near->address == address) {
        detail.put(", which was freed before by ").hex(near->freed_by);
    } else {
        detail.put(", which is no address that a contiguous allocation returned");
    }
    ke::bug_check({.code = ke::BugCheckCode::bad_pool_caller,
                   .parameters = {bad_contiguous_address, address},
                   .detail = detail.view()});
}

}  // namespace

void* allocate_contiguous(std::uint64_t bytes, RunRequest request, Protection protection,
                          std::uint64_t allocated_by) {
    request.frames = pages_for(bytes);
    if (request.frames == 0) {
        return nullptr;
    }
    const auto frames = take_frame_run(request);
    if (!frames) {
        return nullptr;
    }
    Block* block = contiguous_region().reserve(request.frames);
    if (block == nullptr) {
        free_frames(*frames, request.frames);
        return nullptr;
    }
    const LinearAddress first = block->first_page();
    for (std::uint64_t i = 0; i < request.frames; ++i) {
        if (!map(first + i * page_bytes, *frames + i * page_bytes, protection)) {
            unmap_and_free(first, i);
            free_frames(*frames + i * page_bytes, request.frames - i);
            return nullptr;
        }
    }
    __builtin_memset(std::bit_cast<void*>(first.raw()), fresh_content, request.frames * page_bytes);
    block->kind = BlockKind::contiguous;
    block->caching = protection.caching;
    begin_block(*block, bytes, Owner::driver, allocated_by);
    return std::bit_cast<void*>(block->address);
}

void free_contiguous(Block& block, std::uint64_t freed_by) {
    __builtin_memset(std::bit_cast<void*>(block.address), freed_content, block.pages * page_bytes);
    unmap_and_free(block.first_page(), block.pages);
    end_block(block, freed_by);
}

/// [Windows: MmAllocateContiguousMemory]
NT_EXPORT void* MmAllocateContiguousMemory(std::uint64_t bytes, std::uint64_t highest) {
    return allocate_for_driver("MmAllocateContiguousMemory", bytes,
                               {.highest = PhysicalAddress{highest}}, read_write_execute,
                               examiner::caller(__builtin_return_address(0)));
}

/// [Windows: MmAllocateContiguousMemorySpecifyCache]
NT_EXPORT void* MmAllocateContiguousMemorySpecifyCache(std::uint64_t bytes, std::uint64_t lowest,
                                                       std::uint64_t highest,
                                                       std::uint64_t boundary, Caching caching) {
    return allocate_for_driver("MmAllocateContiguousMemorySpecifyCache", bytes,
                               {.lowest = PhysicalAddress{lowest},
                                .highest = PhysicalAddress{highest},
                                .boundary = boundary},
                               {.writable = true, .executable = true, .caching = caching},
                               examiner::caller(__builtin_return_address(0)));
}

/// [Windows: MmAllocateContiguousNodeMemory] The only one that gives memory that cannot be
/// executed. There is one node, so the preferred one does not matter.
NT_EXPORT void* MmAllocateContiguousNodeMemory(std::uint64_t bytes, std::uint64_t lowest,
                                               std::uint64_t highest, std::uint64_t boundary,
                                               std::uint32_t protect, std::uint32_t /*node*/) {
    const auto caller = examiner::caller(__builtin_return_address(0));
    const auto protection = protection_of(protect);
    if (!protection) {
        rtl::Sentence detail{"MmAllocateContiguousNodeMemory was given protection "};
        examiner::report_finding("BadPageProtection", detail.hex(protect),
                                 examiner::no_verifier_code, caller);
        return nullptr;
    }
    return allocate_for_driver("MmAllocateContiguousNodeMemory", bytes,
                               {.lowest = PhysicalAddress{lowest},
                                .highest = PhysicalAddress{highest},
                                .boundary = boundary},
                               *protection, caller);
}

/// [Windows: MmFreeContiguousMemory] The exact address, not one inside.
NT_EXPORT void MmFreeContiguousMemory(std::uint64_t address) {
    const auto caller = examiner::caller(__builtin_return_address(0));
    free_contiguous(live_block("MmFreeContiguousMemory", address, caller), caller);
}

/// [Windows: MmFreeContiguousMemorySpecifyCache] With the size and caching that it was made with.
NT_EXPORT void MmFreeContiguousMemorySpecifyCache(std::uint64_t address, std::uint64_t bytes,
                                                  Caching caching) {
    const auto caller = examiner::caller(__builtin_return_address(0));
    Block& block = live_block("MmFreeContiguousMemorySpecifyCache", address, caller);
    if (bytes != block.bytes || caching != block.caching) {
        rtl::Sentence detail{"MmFreeContiguousMemorySpecifyCache was given "};
        detail.decimal(bytes).put(" bytes and caching type ");
        detail.decimal(static_cast<std::uint64_t>(caching)).put(" for a block of ");
        detail.decimal(block.bytes).put(" bytes and type ");
        detail.decimal(static_cast<std::uint64_t>(block.caching));
        examiner::report_finding("FreedDifferently", detail, examiner::no_verifier_code, caller);
    }
    free_contiguous(block, caller);
}

}  // namespace hvp::lab::mm
