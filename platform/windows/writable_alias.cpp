#include "platform/windows/writable_alias.hpp"

#include "platform/windows/nt.hpp"

// Without C++ exceptions libstdc++'s headers make `if (true)` of it; here it is the compiler's.
#undef __try

namespace hvp::windows {
namespace {

/// MmProbeAndLockPages reports by an exception.
bool lock(PMDL mdl) {
    __try {
        // For reading: that is what the memory's own mapping allows.
        MmProbeAndLockPages(mdl, KernelMode, IoReadAccess);
    } __except (EXCEPTION_EXECUTE_HANDLER) {
        return false;
    }
    return true;
}

}  // namespace

std::optional<WritableAlias> WritableAlias::map(const AtPassiveLevel&, const volatile void* memory,
                                                std::size_t bytes) {
    const PMDL mdl =
        IoAllocateMdl(const_cast<void*>(memory), static_cast<ULONG>(bytes), FALSE, FALSE, nullptr);
    if (mdl == nullptr) {
        return std::nullopt;
    }
    if (!lock(mdl)) {
        IoFreeMdl(mdl);
        return std::nullopt;
    }
    WritableAlias alias{mdl};  // it unlocks
    alias.start_ =
        MmMapLockedPagesSpecifyCache(mdl, KernelMode, MmCached, nullptr, FALSE, NormalPagePriority);
    if (alias.start_ == nullptr || !NT_SUCCESS(MmProtectMdlSystemAddress(mdl, PAGE_READWRITE))) {
        return std::nullopt;
    }
    return alias;
}

WritableAlias::~WritableAlias() {
    if (mdl_ == nullptr) {
        return;
    }
    auto* const mdl = static_cast<PMDL>(mdl_);
    if (start_ != nullptr) {
        MmUnmapLockedPages(start_, mdl);
    }
    MmUnlockPages(mdl);
    IoFreeMdl(mdl);
}

}  // namespace hvp::windows
