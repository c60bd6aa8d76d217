// ExAllocatePool2, ExAllocatePool, ExAllocatePoolWithTag, ExFreePool, ExFreePoolWithTag: the
// documented rules, checked before the pool is called.
#include <cstdint>

#include "lab/nt/ex/pool.hpp"
#include "lab/nt/examiner/rules.hpp"
#include "lab/nt/ke/bugcheck.hpp"
#include "lab/nt/rtl/exception.hpp"
#include "lab/nt/rtl/export.hpp"

namespace hvp::lab::ex {
namespace {

// [Windows: ExAllocatePool2, POOL_FLAGS]
constexpr std::uint64_t flag_uninitialised = 0x02;
constexpr std::uint64_t flag_raise_on_failure = 0x20;
constexpr std::uint64_t flag_nonpaged_execute = 0x80;
constexpr std::uint64_t flag_paged = 0x100;

// [Windows: POOL_TYPE enumeration]
constexpr std::uint32_t type_paged = 1;
constexpr std::uint32_t type_nx = 0x200;

// First parameters of bug check 0xC2.
constexpr std::uint64_t freed_twice = 0x07;
constexpr std::uint64_t another_tag = 0x0A;
constexpr std::uint64_t never_allocated = 0x46;
constexpr std::uint64_t zero_tag = 0x9B;

void* allocate_for_driver(examiner::FunctionName function, const PoolRequest& request, bool paged) {
    examiner::check_irql_at_most(
        paged ? ke::Irql::apc : ke::Irql::dispatch,
        {function, paged ? examiner::paged_pool_irql : examiner::nonpaged_pool_irql,
         request.allocated_by});
    if (request.tag == 0) {
        ke::bug_check({.code = ke::BugCheckCode::bad_pool_caller, .parameters = {zero_tag}});
    }
    if (request.bytes == 0) {
        rtl::Sentence detail{function};
        examiner::report_finding("ZeroBytes", detail.put(" was asked for 0 bytes"),
                                 examiner::zero_bytes, request.allocated_by);
    }
    if (examiner::must_fail_allocation(function)) {
        return nullptr;
    }
    return allocate(request);
}

[[noreturn]] void refuse_free(std::uint64_t address) {
    const auto* block = mm::pool_region().near(mm::LinearAddress{address});
    rtl::Sentence detail;
    if (block != nullptr && block->address == address && !block->live()) {
        detail.put("the block was freed before by ").hex(block->freed_by);
        ke::bug_check({.code = ke::BugCheckCode::bad_pool_caller,
                       .parameters = {freed_twice, 0, block->tag, address},
                       .detail = detail.view()});
    }
    detail.put("no pool allocation returned ").hex(address);
    if (mm::contiguous_region().near(mm::LinearAddress{address}) != nullptr) {
        detail.put(": it is contiguous memory, which MmFreeContiguousMemory frees");
    } else if (block != nullptr && block->kind == mm::BlockKind::noncached) {
        detail.put(": it is noncached memory, which MmFreeNonCachedMemory frees");
    } else if (block != nullptr && block->live()) {
        detail.put(": it lies next to or inside the block at ").hex(block->address);
    }
    ke::bug_check({.code = ke::BugCheckCode::bad_pool_caller,
                   .parameters = {never_allocated, 0, 0, address},
                   .detail = detail.view()});
}

mm::Block& live_block(std::uint64_t address, std::uint64_t caller) {
    examiner::check_irql_at_most(ke::Irql::dispatch,
                                 {"ExFreePool", examiner::pool_free_irql, caller});
    mm::Block* block = find_live(address);
    if (block == nullptr) {
        refuse_free(address);
    }
    return *block;
}

void free_for_driver(mm::Block& block, std::uint64_t caller) {
    if (!free(block, caller)) {
        refuse_free(block.address);
    }
}

}  // namespace

/// [Windows: ExAllocatePool2]
NT_EXPORT void* ExAllocatePool2(std::uint64_t flags, std::uint64_t bytes, std::uint32_t tag) {
    const PoolRequest request{.bytes = bytes,
                              .tag = tag,
                              .executable = (flags & flag_nonpaged_execute) != 0,
                              .zeroed = (flags & flag_uninitialised) == 0,
                              .owner = mm::Owner::driver,
                              .allocated_by = examiner::caller(__builtin_return_address(0))};
    void* block = allocate_for_driver("ExAllocatePool2", request, (flags & flag_paged) != 0);
    if (block == nullptr && (flags & flag_raise_on_failure) != 0) {
        rtl::raise_status(rtl::status_insufficient_resources);
    }
    return block;
}

/// [Windows: ExAllocatePool] Without a tag: that is the tag "None".
NT_EXPORT void* ExAllocatePool(std::uint32_t type, std::uint64_t bytes) {
    constexpr std::uint32_t no_tag = 0x656E'6F4E;
    const bool paged = (type & type_paged) != 0;
    return allocate_for_driver("ExAllocatePool",
                               {.bytes = bytes,
                                .tag = no_tag,
                                .executable = !paged && (type & type_nx) == 0,
                                .owner = mm::Owner::driver,
                                .allocated_by = examiner::caller(__builtin_return_address(0))},
                               paged);
}

/// [Windows: ExAllocatePoolWithTag] The content is whatever was there.
NT_EXPORT void* ExAllocatePoolWithTag(std::uint32_t type, std::uint64_t bytes, std::uint32_t tag) {
    const bool paged = (type & type_paged) != 0;
    return allocate_for_driver("ExAllocatePoolWithTag",
                               {.bytes = bytes,
                                .tag = tag,
                                .executable = !paged && (type & type_nx) == 0,
                                .owner = mm::Owner::driver,
                                .allocated_by = examiner::caller(__builtin_return_address(0))},
                               paged);
}

/// [Windows: ExFreePool]
NT_EXPORT void ExFreePool(std::uint64_t address) {
    const auto caller = examiner::caller(__builtin_return_address(0));
    free_for_driver(live_block(address, caller), caller);
}

/// [Windows: ExFreePoolWithTag] Tag 0 matches every tag.
NT_EXPORT void ExFreePoolWithTag(std::uint64_t address, std::uint32_t tag) {
    const auto caller = examiner::caller(__builtin_return_address(0));
    mm::Block& block = live_block(address, caller);
    if (tag != 0 && tag != block.tag) {
        ke::bug_check({.code = ke::BugCheckCode::bad_pool_caller,
                       .parameters = {another_tag, address, block.tag, tag}});
    }
    free_for_driver(block, caller);
}

}  // namespace hvp::lab::ex
