// MDLs: which pages a buffer consists of, locking them, and mapping them a second time.
#include <array>

#include "tests/drivers/contract_memory.hpp"

namespace {

using namespace hvp::tests;

constexpr ULONG access_violation = 0xC0000005;

PMDL mdl_of(volatile void* buffer, ULONG bytes) {
    return IoAllocateMdl(const_cast<void*>(buffer), bytes, FALSE, FALSE, nullptr);
}

void* map(PMDL mdl) {
    return MmMapLockedPagesSpecifyCache(mdl, KernelMode, MmCached, nullptr, FALSE,
                                        NormalPagePriority);
}

/// Builds an MDL of fresh pool, lets somebody look at it, and gives everything back.
template <typename Look>
bool with_pool_mdl(Look look) {
    volatile char* const block = pool(two_pages);
    const PMDL mdl = mdl_of(block, two_pages);
    MmBuildMdlForNonPagedPool(mdl);
    const bool good = look(block, mdl);
    IoFreeMdl(mdl);
    free(block);
    return good;
}

bool locks(PMDL mdl, LOCK_OPERATION operation) {
    __try {
        MmProbeAndLockPages(mdl, KernelMode, operation);
    } __except (_exception_code() == access_violation) {
        return false;
    }
    return true;
}

bool mapping_shows_the_same_memory() {
    return with_pool_mdl([](volatile char* block, PMDL mdl) {
        auto* const other = static_cast<volatile char*>(map(mdl));
        block[PAGE_SIZE + 5] = 42;
        const bool same = other != block && other[PAGE_SIZE + 5] == 42 &&
                          physical_of(other) == physical_of(block);
        MmUnmapLockedPages(const_cast<char*>(other), mdl);
        return same && !MmIsAddressValid(const_cast<char*>(other));
    });
}

bool locked_pages_map() {
    volatile char* const block = pool(two_pages);
    const PMDL mdl = mdl_of(block + 16, PAGE_SIZE);  // one page, but over two
    const bool locked = locks(mdl, IoModifyAccess);
    auto* const other = static_cast<volatile char*>(map(mdl));
    other[PAGE_SIZE - 1] = 7;
    const bool same = block[16 + PAGE_SIZE - 1] == 7 && (number(other) & 0xFFF) == 16;
    MmUnmapLockedPages(const_cast<char*>(other), mdl);
    MmUnlockPages(mdl);
    IoFreeMdl(mdl);
    free(block);
    return locked && same;
}

/// Locks a page that is read-only, maps it again, and lets somebody use that mapping.
template <typename Use>
bool with_second_mapping(const volatile void* memory, Use use) {
    const PMDL mdl = mdl_of(const_cast<volatile void*>(memory), 16);
    const bool locked = locks(mdl, IoReadAccess);
    auto* const other = static_cast<volatile char*>(map(mdl));
    const bool good = locked && other != nullptr && use(other, mdl);
    MmUnmapLockedPages(const_cast<char*>(other), mdl);
    MmUnlockPages(mdl);
    IoFreeMdl(mdl);
    return good;
}

bool protections_are_checked();

bool code_is_written() {
    const auto* const code = std::bit_cast<const volatile char*>(&protections_are_checked);
    return with_second_mapping(code, [=](volatile char* other, PMDL mdl) {
        const bool writable = MmProtectMdlSystemAddress(mdl, PAGE_READWRITE) == STATUS_SUCCESS;
        const char before = *code;
        *other = static_cast<char>(~before);
        const bool same = *code == static_cast<char>(~before);
        *other = before;
        return writable && same && *code == before;
    });
}

bool protections_are_checked() {
    static const volatile char constant[16]{};
    return with_second_mapping(constant, [](volatile char*, PMDL mdl) {
        constexpr NTSTATUS invalid_page_protection = static_cast<NTSTATUS>(0xC0000045);
        return MmProtectMdlSystemAddress(mdl, 0) == invalid_page_protection &&
               MmProtectMdlSystemAddress(mdl, PAGE_WRITECOPY) == invalid_page_protection &&
               MmProtectMdlSystemAddress(mdl, PAGE_EXECUTE_READ) == STATUS_SUCCESS;
    });
}

bool only_a_mapping_is_protected() {
    return with_pool_mdl([](volatile char*, PMDL mdl) {
        constexpr NTSTATUS not_mapped_view = static_cast<NTSTATUS>(0xC0000019);
        return MmProtectMdlSystemAddress(mdl, PAGE_READONLY) == not_mapped_view;
    });
}

bool read_only_pages_lock_for_reading() {
    const PMDL mdl = mdl_of(std::bit_cast<void*>(&read_only_pages_lock_for_reading), 16);
    const bool read = locks(mdl, IoReadAccess);
    MmUnlockPages(mdl);
    const bool write = locks(mdl, IoWriteAccess);
    IoFreeMdl(mdl);
    return read && !write;
}

constexpr std::array promises{
    Promise{"IoAllocateMdl", "describes the buffer",
            [] {
                volatile char* const block = pool(two_pages);
                const PMDL mdl = mdl_of(block + 100, PAGE_SIZE);
                const bool good =
                    MmGetMdlByteCount(mdl) == PAGE_SIZE && MmGetMdlByteOffset(mdl) == 100 &&
                    MmGetMdlVirtualAddress(mdl) == block + 100 && mdl->Size == 0x30 + 16;
                IoFreeMdl(mdl);
                free(block);
                return good;
            }},
    Promise{"IoFreeMdl", "gives the memory back",
            [] {
                volatile char buffer[8]{};
                const PMDL mdl = mdl_of(buffer, sizeof(buffer));
                IoFreeMdl(mdl);
                return !MmIsAddressValid(mdl);
            }},
    Promise{"MmBuildMdlForNonPagedPool", "fills in the frames and the address",
            [] {
                return with_pool_mdl([](volatile char* block, PMDL mdl) {
                    return MmGetMdlPfnArray(mdl)[1] == physical_of(block + PAGE_SIZE) / PAGE_SIZE &&
                           MmGetSystemAddressForMdlSafe(mdl, NormalPagePriority) == block;
                });
            }},
    Promise{"MmMapLockedPagesSpecifyCache", "shows the same memory elsewhere",
            mapping_shows_the_same_memory},
    Promise{"MmUnmapLockedPages", "ends the mapping", mapping_shows_the_same_memory},
    Promise{"MmProtectMdlSystemAddress", "makes code writable in a second mapping",
            code_is_written},
    Promise{"MmProtectMdlSystemAddress", "knows protections", protections_are_checked},
    Promise{"MmProtectMdlSystemAddress", "wants a mapping", only_a_mapping_is_protected},
    Promise{"MmProbeAndLockPages", "locks, and what is locked can be mapped", locked_pages_map},
    Promise{"MmProbeAndLockPages", "raises an exception for write access to code",
            read_only_pages_lock_for_reading},
    Promise{"MmUnlockPages", "unlocks", locked_pages_map},
};

constexpr std::array mistakes{
    Mistake{"IoAllocateMdl", "above DISPATCH_LEVEL",
            [] {
                PMDL mdl{};
                at_high_level([&] { mdl = mdl_of(nullptr, 1); });
                IoFreeMdl(mdl);
            },
            "IrqlTooHigh"},
    Mistake{"IoFreeMdl", "what is no MDL",
            [] {
                volatile char* const block = pool(PAGE_SIZE);
                IoFreeMdl(std::bit_cast<PMDL>(block));
                free(block);
            },
            "NotAnMdl"},
    Mistake{"IoFreeMdl", "while its pages are mapped",
            [] {
                volatile char* const block = pool(PAGE_SIZE);
                const PMDL mdl = mdl_of(block, PAGE_SIZE);
                MmBuildMdlForNonPagedPool(mdl);
                void* const other = map(mdl);
                MDL copy = *mdl;
                IoFreeMdl(mdl);
                MmUnmapLockedPages(other, &copy);
                free(block);
            },
            "MdlFreedInUse"},
    Mistake{"MmBuildMdlForNonPagedPool", "a buffer that is not there",
            [] {
                const PMDL mdl = mdl_of(nullptr, PAGE_SIZE);
                MmBuildMdlForNonPagedPool(mdl);
                IoFreeMdl(mdl);
            },
            "MdlOfUnmappedMemory"},
    Mistake{"MmMapLockedPagesSpecifyCache", "pages that are not locked",
            [] {
                volatile char buffer[8]{};
                const PMDL mdl = mdl_of(buffer, sizeof(buffer));
                static_cast<void>(map(mdl));
                IoFreeMdl(mdl);
            },
            "MapOfUnlockedPages"},
    Mistake{"MmMapLockedPagesSpecifyCache", "twice",
            [] {
                static_cast<void>(with_pool_mdl([](volatile char*, PMDL mdl) {
                    void* const other = map(mdl);
                    static_cast<void>(map(mdl));
                    MmUnmapLockedPages(other, mdl);
                    return true;
                }));
            },
            "MdlMappedTwice"},
    Mistake{"MmProtectMdlSystemAddress", "above DISPATCH_LEVEL",
            [] {
                static_cast<void>(with_pool_mdl([](volatile char*, PMDL mdl) {
                    at_high_level(
                        [=] { static_cast<void>(MmProtectMdlSystemAddress(mdl, PAGE_READONLY)); });
                    return true;
                }));
            },
            "IrqlTooHigh"},
    Mistake{"MmUnmapLockedPages", "where it is not mapped",
            [] {
                static_cast<void>(with_pool_mdl([](volatile char* block, PMDL mdl) {
                    MmUnmapLockedPages(const_cast<char*>(block), mdl);
                    return true;
                }));
            },
            "UnmappedDifferently"},
    Mistake{"MmProbeAndLockPages", "above DISPATCH_LEVEL",
            [] {
                volatile char* const block = pool(16);
                const PMDL mdl = mdl_of(block, 16);
                at_high_level([=] { static_cast<void>(locks(mdl, IoReadAccess)); });
                MmUnlockPages(mdl);
                IoFreeMdl(mdl);
                free(block);
            },
            "IrqlTooHigh"},
    Mistake{"MmUnlockPages", "pages that are not locked",
            [] {
                volatile char buffer[8]{};
                const PMDL mdl = mdl_of(buffer, sizeof(buffer));
                MmUnlockPages(mdl);
                IoFreeMdl(mdl);
            },
            "UnlockOfUnlockedPages"},
    Mistake{"MmProbeAndLockPages", "pages stay locked until the end",
            [] {
                static volatile char buffer[8]{};
                static MDL storage[2]{};
                const PMDL mdl = storage;
                MmInitializeMdl(mdl, const_cast<char*>(buffer), sizeof(buffer));
                static_cast<void>(locks(mdl, IoReadAccess));
            },
            "PagesLeftLocked"},
    Mistake{"IoAllocateMdl", "an MDL stays until the end",
            [] { static_cast<void>(mdl_of(nullptr, PAGE_SIZE)); }, "Leak"},
};

constexpr std::array crashes{
    Crash{"MmProbeAndLockPages", "outside of __try", "-probe",
          [] { MmProbeAndLockPages(mdl_of(nullptr, 16), KernelMode, IoReadAccess); }, 0x7E},
};

constexpr Contract contract{"contract_mdl", promises, mistakes, crashes, {}};

}  // namespace

extern "C" NTSTATUS DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path) {
    return examine(contract, driver, path);
}
