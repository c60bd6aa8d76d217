// IoAllocateMdl, IoFreeMdl, MmBuildMdlForNonPagedPool, MmMapLockedPagesSpecifyCache,
// MmProtectMdlSystemAddress, MmUnmapLockedPages.
#include "lab/nt/mm/mdl.hpp"

#include <bit>
#include <limits>
#include <optional>

#include "lab/nt/ex/pool.hpp"
#include "lab/nt/examiner/rules.hpp"
#include "lab/nt/ke/ipi.hpp"
#include "lab/nt/mm/mapping.hpp"
#include "lab/nt/rtl/export.hpp"
#include "lab/nt/rtl/nt_types.hpp"

namespace hvp::lab::mm {
namespace {

constexpr std::uint32_t mdl_tag = 0x206C'644D;  // "Mdl "

/// Where an IRP has its first MDL.  [Windows: IRP structure]
Mdl*& first_mdl_of(std::byte* irp) {
    constexpr std::size_t mdl_address = 8;
    return *reinterpret_cast<Mdl**>(irp + mdl_address);
}

void attach(Mdl* mdl, std::byte* irp, bool secondary) {
    if (!secondary) {
        first_mdl_of(irp) = mdl;
        return;
    }
    Mdl** last = &first_mdl_of(irp);
    while (*last != nullptr) {
        last = &(*last)->next;
    }
    *last = mdl;
}

/// What a PAGE_ constant allows; nothing: it is none, or one for which there is no such page.
std::optional<Protection> protection_of(std::uint32_t page) {
    switch (page) {
        case 0x02:  // PAGE_READONLY
            return read_only;
        case 0x04:  // PAGE_READWRITE
            return read_write;
        case 0x10:  // PAGE_EXECUTE: the processor lets it be read as well
        case 0x20:  // PAGE_EXECUTE_READ
            return Protection{.executable = true};
        case 0x40:  // PAGE_EXECUTE_READWRITE
            return read_write_execute;
        default:
            return std::nullopt;
    }
}

void report(std::string_view rule, std::string_view sentence, examiner::VerifierCode verifier,
            std::uint64_t caller) {
    examiner::report_finding(rule, rtl::Sentence{sentence}, verifier, caller);
}

}  // namespace

/// [Windows: IoAllocateMdl] Room for the frames' numbers; they are filled in later.
NT_EXPORT Mdl* IoAllocateMdl(std::uint64_t address, std::uint32_t bytes, rtl::Boolean secondary,
                             rtl::Boolean /*charge_quota*/, std::byte* irp) {
    const auto caller = examiner::caller(__builtin_return_address(0));
    examiner::check_irql_at_most(ke::Irql::dispatch, {"IoAllocateMdl", examiner::api_irql, caller});
    const std::uint64_t offset = address % page_bytes;
    const std::uint64_t size = sizeof(Mdl) + pages_for(offset + bytes) * sizeof(std::uint64_t);
    if (size > std::numeric_limits<std::int16_t>::max() ||
        examiner::must_fail_allocation("IoAllocateMdl")) {
        return nullptr;
    }
    auto* const mdl = static_cast<Mdl*>(ex::allocate({.bytes = size,
                                                      .tag = mdl_tag,
                                                      .zeroed = true,
                                                      .owner = Owner::driver,
                                                      .allocated_by = caller}));
    if (mdl == nullptr) {
        return nullptr;
    }
    mdl->size = static_cast<std::int16_t>(size);
    mdl->start_va = address - offset;
    mdl->byte_offset = static_cast<std::uint32_t>(offset);
    mdl->byte_count = bytes;
    if (irp != nullptr) {
        attach(mdl, irp, secondary != 0);
    }
    return mdl;
}

/// [Windows: IoFreeMdl] The pages have been unlocked and unmapped before.
NT_EXPORT void IoFreeMdl(Mdl* mdl) {
    const auto caller = examiner::caller(__builtin_return_address(0));
    examiner::check_irql_at_most(ke::Irql::dispatch, {"IoFreeMdl", examiner::api_irql, caller});
    Block* const block = ex::find_live(std::bit_cast<std::uint64_t>(mdl));
    if (block == nullptr || block->tag != mdl_tag) {
        return report("NotAnMdl", "IoFreeMdl was given no MDL that IoAllocateMdl returned",
                      examiner::no_verifier_code, caller);
    }
    if (mdl->has(mdl_mapped | mdl_locked)) {
        report("MdlFreedInUse", "IoFreeMdl was given an MDL whose pages are still mapped or locked",
               examiner::mdl_freed_in_use, caller);
    }
    ex::free(*block, caller);
}

/// [Windows: MmBuildMdlForNonPagedPool] The buffer's own address serves as its mapping.
NT_EXPORT void MmBuildMdlForNonPagedPool(Mdl* mdl) {
    const auto caller = examiner::caller(__builtin_return_address(0));
    examiner::check_irql_at_most(ke::Irql::dispatch,
                                 {"MmBuildMdlForNonPagedPool", examiner::memory_call_irql, caller});
    std::uint64_t page = mdl->start_va;
    for (std::uint64_t& frame : mdl->frames()) {
        const auto physical = translate(LinearAddress{page});
        if (!physical || !is_system(LinearAddress{page})) {
            return report("MdlOfUnmappedMemory",
                          "MmBuildMdlForNonPagedPool was given a buffer that is not there",
                          examiner::no_verifier_code, caller);
        }
        frame = physical->raw() / page_bytes;
        page += page_bytes;
    }
    mdl->flags = static_cast<std::int16_t>(mdl->flags | mdl_of_nonpaged_pool);
    mdl->mapped_system_va = mdl->address();
}

/// [Windows: MmMapLockedPagesSpecifyCache] There is no user mode to map anything into, so only
/// KernelMode succeeds.
NT_EXPORT void* MmMapLockedPagesSpecifyCache(Mdl* mdl, std::uint8_t mode, Caching caching,
                                             const void* /*requested_address*/,
                                             std::uint32_t /*bug_check_on_failure*/,
                                             std::uint32_t priority) {
    const auto caller = examiner::caller(__builtin_return_address(0));
    examiner::check_irql_at_most(ke::Irql::dispatch, {"MmMapLockedPagesSpecifyCache",
                                                      examiner::map_locked_pages_irql, caller});
    if (!mdl->has(mdl_locked | mdl_of_nonpaged_pool | mdl_partial)) {
        report("MapOfUnlockedPages",
               "MmMapLockedPagesSpecifyCache was given an MDL whose pages are not locked",
               examiner::map_of_unlocked, caller);
        return nullptr;
    }
    if (mdl->has(mdl_mapped)) {
        report("MdlMappedTwice",
               "MmMapLockedPagesSpecifyCache was given an MDL that is mapped already",
               examiner::no_verifier_code, caller);
        return nullptr;
    }
    if (mode != 0 || examiner::must_fail_allocation("MmMapLockedPagesSpecifyCache")) {
        return nullptr;
    }
    constexpr std::uint32_t no_write = 0x8000'0000;  // MdlMappingNoWrite
    constexpr std::uint32_t no_execute = 0x4000'0000;
    const auto frames = mdl->frames();
    const Block* const block =
        map_frames({.kind = BlockKind::mdl_mapping,
                    .offset = mdl->byte_offset,
                    .bytes = mdl->byte_count,
                    .protection = {.writable = (priority & no_write) == 0,
                                   .executable = (priority & no_execute) == 0,
                                   .caching = caching},
                    .mapped_by = caller},
                   [=](std::uint64_t i) { return frames[i]; });
    if (block == nullptr) {
        return nullptr;
    }
    mdl->flags = static_cast<std::int16_t>(mdl->flags | mdl_mapped);
    mdl->mapped_system_va = block->address;
    return std::bit_cast<void*>(block->address);
}

/// [Windows: MmProtectMdlSystemAddress] It concerns this mapping alone, not the others of the
/// pages.
NT_EXPORT rtl::NtStatus MmProtectMdlSystemAddress(Mdl* mdl, std::uint32_t protect_as) {
    const auto caller = examiner::caller(__builtin_return_address(0));
    examiner::check_irql_at_most(ke::Irql::dispatch,
                                 {"MmProtectMdlSystemAddress", examiner::api_irql, caller});
    constexpr std::uint32_t no_access = 0x01;  // PAGE_NOACCESS
    auto protection = protection_of(protect_as);
    if (!protection && protect_as != no_access) {
        return rtl::status_invalid_page_protection;
    }
    const Block* const block =
        mapping_region().find_live(mdl->mapped_system_va, BlockKind::mdl_mapping);
    if (!mdl->has(mdl_mapped) || block == nullptr) {
        return rtl::status_not_mapped_view;
    }
    const std::uint64_t pages = mdl->frames().size();
    if (protection) {
        protection->caching = block->caching;
        protect(block->first_page(), pages, *protection);
    } else {
        hide(block->first_page(), pages);
        ke::flush_tlbs(block->first_page(), pages);
    }
    return rtl::status_success;
}

/// [Windows: MmUnmapLockedPages]
NT_EXPORT void MmUnmapLockedPages(std::uint64_t address, Mdl* mdl) {
    const auto caller = examiner::caller(__builtin_return_address(0));
    examiner::check_irql_at_most(ke::Irql::dispatch,
                                 {"MmUnmapLockedPages", examiner::unmap_locked_pages_irql, caller});
    Block* const block = mapping_region().find_live(address, BlockKind::mdl_mapping);
    if (block == nullptr || !mdl->has(mdl_mapped) || mdl->mapped_system_va != address) {
        return report("UnmappedDifferently",
                      "MmUnmapLockedPages was given an address at which that MDL is not mapped",
                      examiner::no_verifier_code, caller);
    }
    end_mapping(*block, caller);
    mdl->flags = static_cast<std::int16_t>(mdl->flags & ~mdl_mapped);
    mdl->mapped_system_va = mdl->has(mdl_of_nonpaged_pool) ? mdl->address() : 0;
}

}  // namespace hvp::lab::mm
