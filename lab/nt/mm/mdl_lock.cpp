// MmProbeAndLockPages, MmUnlockPages. Nothing is paged out here, so a lock is only recorded; a lock
// that is never released is reported, as Windows does with bug check 0xCB.
#include <algorithm>
#include <array>
#include <bit>

#include "lab/nt/examiner/rules.hpp"
#include "lab/nt/ke/lock.hpp"
#include "lab/nt/mm/mdl.hpp"
#include "lab/nt/mm/page_tables.hpp"
#include "lab/nt/rtl/exception.hpp"
#include "lab/nt/rtl/export.hpp"

namespace hvp::lab::mm {
namespace {

/// Pages that are locked, and by which call.
struct LockedPages {
    const Mdl* mdl{};  ///< null: this record is free
    std::uint64_t pages{};
    std::uint64_t locked_by{};
};

constexpr std::size_t most_locks = 256;
constinit std::array<LockedPages, most_locks> locked_pages{};
constinit ke::Lock records{};

bool record(const LockedPages& pages) {
    const ke::Locked locked{records};
    auto* const free = std::ranges::find(locked_pages, nullptr, &LockedPages::mdl);
    if (free == locked_pages.end()) {
        return false;
    }
    *free = pages;
    return true;
}

bool release_record(const Mdl* mdl) {
    const ke::Locked locked{records};
    auto* const found = std::ranges::find(locked_pages, mdl, &LockedPages::mdl);
    if (found == locked_pages.end()) {
        return false;
    }
    *found = {};
    return true;
}

/// False: some page is not mapped, or is not writable although write access was requested.
bool fill_frames(Mdl& mdl, bool write) {
    std::uint64_t page = mdl.start_va;
    for (std::uint64_t& frame : mdl.frames()) {
        const auto entry = entry_for(LinearAddress{page});
        const auto physical = translate(LinearAddress{page});
        if (!entry || !physical || (write && !entry->writable)) {
            return false;
        }
        frame = physical->raw() / page_bytes;
        page += page_bytes;
    }
    return true;
}

}  // namespace

/// [Windows: MmProbeAndLockPages] Raises STATUS_ACCESS_VIOLATION if the buffer does not allow the
/// access, so it is called inside __try.
NT_EXPORT void MmProbeAndLockPages(Mdl* mdl, std::uint8_t mode, std::uint32_t operation) {
    const auto caller = examiner::caller(__builtin_return_address(0));
    examiner::check_irql_at_most(ke::Irql::dispatch,
                                 {"MmProbeAndLockPages", examiner::memory_call_irql, caller});
    constexpr std::uint32_t read_access = 0;  // IoReadAccess
    const bool write = operation != read_access;
    const bool of_system = is_system(LinearAddress{mdl->start_va});
    constexpr std::uint8_t kernel_mode = 0;
    if ((mode != kernel_mode && of_system) || !fill_frames(*mdl, write)) {
        rtl::raise_status(rtl::status_access_violation);
    }
    if (!record({.mdl = mdl, .pages = mdl->frames().size(), .locked_by = caller})) {
        rtl::raise_status(rtl::status_insufficient_resources);
    }
    mdl->flags = static_cast<std::int16_t>(mdl->flags | mdl_locked | (write ? mdl_for_writing : 0));
}

/// [Windows: MmUnlockPages]
NT_EXPORT void MmUnlockPages(Mdl* mdl) {
    const auto caller = examiner::caller(__builtin_return_address(0));
    examiner::check_irql_at_most(ke::Irql::dispatch,
                                 {"MmUnlockPages", examiner::unlock_pages_irql, caller});
    if (!mdl->has(mdl_locked) || !release_record(mdl)) {
        const bool nonpaged = mdl->has(mdl_of_nonpaged_pool);
        return examiner::report_finding(
            "UnlockOfUnlockedPages",
            rtl::Sentence{nonpaged ? "MmUnlockPages was given an MDL of nonpaged pool"
                                   : "MmUnlockPages was given an MDL whose pages are not locked"},
            nonpaged ? examiner::unlock_of_nonpaged : examiner::unlock_of_unlocked, caller);
    }
    mdl->flags = static_cast<std::int16_t>(mdl->flags & ~(mdl_locked | mdl_for_writing));
}

void report_locked_pages() {
    for (LockedPages& pages : locked_pages) {
        if (pages.mdl != nullptr) {
            rtl::Sentence detail;
            detail.decimal(pages.pages).put(" pages were left locked by the MDL at ");
            detail.hex(std::bit_cast<std::uint64_t>(pages.mdl));
            detail.put("; Windows would stop with bug check 0xCB");
            examiner::report_finding("PagesLeftLocked", detail, examiner::no_verifier_code,
                                     pages.locked_by);
            pages = {};
        }
    }
}

}  // namespace hvp::lab::mm
