// What lab/nt/mm exports of addresses and of memory that is not pool.
#include <array>
#include <bit>

#include "tests/drivers/contract_memory.hpp"

extern "C" {
NTKERNELAPI PVOID NTAPI MmGetVirtualForPhysical(PHYSICAL_ADDRESS PhysicalAddress);
// Data: the slots in the import table. mingw-w64's headers are one indirection off.
extern std::uint64_t* const highest_user_address __asm__("__imp_MmHighestUserAddress");
extern std::uint64_t* const system_range_start __asm__("__imp_MmSystemRangeStart");
}

namespace {

using namespace hvp::tests;

bool ranges_hold_pool() {
    volatile char* const block = pool(PAGE_SIZE);
    const std::uint64_t where = physical_of(block);
    PPHYSICAL_MEMORY_RANGE ranges = MmGetPhysicalMemoryRanges();
    bool found = false;
    std::uint64_t last = 0;
    bool ascending = true;
    for (auto* range = ranges; range->NumberOfBytes.QuadPart != 0; ++range) {
        const auto first = static_cast<std::uint64_t>(range->BaseAddress.QuadPart);
        const auto bytes = static_cast<std::uint64_t>(range->NumberOfBytes.QuadPart);
        ascending &= first > last || last == 0;
        last = first;
        found |= where >= first && where - first < bytes;
    }
    ExFreePool(ranges);
    free(block);
    return found && ascending;
}

bool contiguous_is_contiguous() {
    auto* const block =
        static_cast<char*>(MmAllocateContiguousMemory(two_pages, physical(0xFFF'FFFF)));
    const bool good = physical_of(block + PAGE_SIZE) == physical_of(block) + PAGE_SIZE &&
                      physical_of(block) + two_pages <= 0x1000'0000 &&
                      number(block) % PAGE_SIZE == 0;
    MmFreeContiguousMemory(block);
    return good && !MmIsAddressValid(block);
}

bool low_memory_is_low() {
    constexpr std::uint64_t one_mib = 0x10'0000;
    auto* const block =
        static_cast<char*>(MmAllocateContiguousMemory(PAGE_SIZE, physical(one_mib - 1)));
    if (block == nullptr) {
        return false;
    }
    const bool low = physical_of(block) + PAGE_SIZE <= one_mib;
    MmFreeContiguousMemory(block);
    return low;
}

bool boundary_is_not_crossed() {
    auto* const block = static_cast<char*>(MmAllocateContiguousMemorySpecifyCache(
        0x3000, physical(0), physical(~0ULL), physical(0x4000), MmNonCached));
    const std::uint64_t first = physical_of(block);
    MmFreeContiguousMemorySpecifyCache(block, 0x3000, MmNonCached);
    return first / 0x4000 == (first + 0x2FFF) / 0x4000;
}

bool node_memory_is_there() {
    void* const block = MmAllocateContiguousNodeMemory(PAGE_SIZE, physical(0), physical(~0ULL),
                                                       physical(0), PAGE_READWRITE, 0);
    const bool good = block != nullptr && physical_of(block) != 0;
    MmFreeContiguousMemory(block);
    return good;
}

bool noncached_is_there() {
    auto* const block = static_cast<volatile char*>(MmAllocateNonCachedMemory(two_pages - 1));
    block[0] = 1;
    block[two_pages - 2] = 1;
    const bool good = number(block) % PAGE_SIZE == 0;
    MmFreeNonCachedMemory(const_cast<char*>(block), two_pages - 1);
    return good && !MmIsAddressValid(const_cast<char*>(block));
}

constexpr std::uint64_t apic = 0xFEE0'0000;

bool io_space_maps_devices() {
    auto* const registers =
        static_cast<volatile ULONG*>(MmMapIoSpace(physical(apic + 0x30), 16, MmNonCached));
    const ULONG version = *registers;
    MmUnmapIoSpace(const_cast<ULONG*>(registers), 16);
    return (version & 0xFF) >= 0x10 && (number(registers) & 0xFFF) == 0x30;
}

bool io_space_maps_own_memory() {
    volatile char* const block = pool(PAGE_SIZE);
    auto* const other = static_cast<volatile char*>(
        MmMapIoSpace(physical(physical_of(block)), PAGE_SIZE, MmCached));
    block[99] = 3;
    const bool same = other[99] == 3;
    MmUnmapIoSpace(const_cast<char*>(other), PAGE_SIZE);
    free(block);
    return same;
}

bool virtual_is_found() {
    volatile char* const block = pool(PAGE_SIZE);
    const bool good = MmGetVirtualForPhysical(physical(physical_of(block) + 17)) == block + 17;
    free(block);
    return good;
}

bool page_tables_are_found() {
    std::uint64_t root{};
    asm volatile("movq %%cr3, %0" : "=r"(root));
    root &= ~0xFFFULL;  // without its PCID
    return number(MmGetVirtualForPhysical(physical(root))) == 0xFFFF'F6FB'7DBE'D000;
}

NTSTATUS copy(void* target, std::uint64_t source, SIZE_T bytes, ULONG flags, SIZE_T& copied) {
    MM_COPY_ADDRESS address{};
    address.PhysicalAddress.QuadPart = static_cast<LONGLONG>(source);
    return MmCopyMemory(target, address, bytes, flags, &copied);
}

bool physical_is_copied() {
    volatile char* const block = pool(two_pages);
    block[PAGE_SIZE - 1] = 7;
    block[PAGE_SIZE - 2] = 6;
    std::array<char, 2> target{};
    SIZE_T copied = 0;
    const NTSTATUS status = copy(target.data(), physical_of(block + PAGE_SIZE - 2), target.size(),
                                 mm_copy_memory_physical, copied);
    free(block);
    return status == STATUS_SUCCESS && copied == 2 && target[0] == 6 && target[1] == 7;
}

bool page_tables_are_copied() {
    std::uint64_t root{};
    asm volatile("movq %%cr3, %0" : "=r"(root));
    root &= ~0xFFFULL;  // without its PCID
    constexpr std::uint64_t of_self_map = 0x1ED * 8;
    std::uint64_t entry = 0;
    SIZE_T copied = 0;
    return copy(&entry, root + of_self_map, sizeof entry, mm_copy_memory_physical, copied) ==
               STATUS_SUCCESS &&
           (entry & 0x000F'FFFF'FFFF'F000) == (root & 0x000F'FFFF'FFFF'F000);
}

bool virtual_is_copied_as_far_as_it_goes() {
    auto* const block = static_cast<char*>(MmAllocateContiguousMemory(PAGE_SIZE, physical(~0ULL)));
    block[PAGE_SIZE - 1] = 9;
    std::array<char, 2> target{};
    SIZE_T copied = 0;
    const NTSTATUS whole =
        copy(target.data(), number(block + PAGE_SIZE - 1), 1, mm_copy_memory_virtual, copied);
    // Behind a block is nothing.
    const NTSTATUS part =
        copy(target.data(), number(block + PAGE_SIZE - 1), 2, mm_copy_memory_virtual, copied);
    MmFreeContiguousMemory(block);
    return whole == STATUS_SUCCESS && target[0] == 9 && part < 0 && copied == 1;
}

bool strange_copies_are_refused() {
    std::uint64_t value = 0;
    SIZE_T copied = 1;
    const auto refuses = [&](std::uint64_t source, ULONG flags) {
        copied = 1;
        return copy(&value, source, sizeof value, flags, copied) < 0 && copied == 0;
    };
    return refuses(apic, mm_copy_memory_physical) && refuses(1ULL << 39, mm_copy_memory_physical) &&
           refuses(0, mm_copy_memory_virtual) && refuses(number(&value), 0) &&
           refuses(number(&value), mm_copy_memory_physical | mm_copy_memory_virtual);
}

bool routine_is_found(const wchar_t* name) {
    return routine_named<void>(name) != nullptr;
}

constexpr std::array promises{
    Promise{"MmGetPhysicalAddress", "keeps the offset, at any IRQL",
            [] {
                volatile char* const block = pool(PAGE_SIZE);
                bool good = false;
                at_irql(HIGH_LEVEL,
                        [&] { good = physical_of(block + 5) == physical_of(block) + 5; });
                free(block);
                return good;
            }},
    Promise{"MmGetPhysicalAddress", "0 for what is not there",
            [] { return physical_of(nullptr) == 0; }},
    Promise{"MmIsAddressValid", "own code is, null is not",
            [] {
                return MmIsAddressValid(std::bit_cast<void*>(&virtual_is_found)) != 0 &&
                       MmIsAddressValid(nullptr) == 0;
            }},
    Promise{"MmGetSystemRoutineAddress", "finds what there is and not what there is not",
            [] { return routine_is_found(L"DbgPrint") && !routine_is_found(L"NoSuchRoutine"); }},
    Promise{"MmHighestUserAddress", "is a variable",
            [] { return *highest_user_address == 0x7FFF'FFFE'FFFF; }},
    Promise{"MmSystemRangeStart", "is a variable",
            [] { return *system_range_start == 0xFFFF'8000'0000'0000; }},
    Promise{"MmAllocateContiguousMemory", "neighbours below the limit", contiguous_is_contiguous},
    Promise{"MmAllocateContiguousMemory", "has memory below 1 MiB", low_memory_is_low},
    Promise{"MmFreeContiguousMemory", "makes the addresses invalid", contiguous_is_contiguous},
    Promise{"MmAllocateContiguousMemorySpecifyCache", "crosses no boundary",
            boundary_is_not_crossed},
    Promise{"MmFreeContiguousMemorySpecifyCache", "with size and type", boundary_is_not_crossed},
    Promise{"MmAllocateContiguousNodeMemory", "gives memory", node_memory_is_there},
    Promise{"MmAllocateNonCachedMemory", "gives whole pages", noncached_is_there},
    Promise{"MmFreeNonCachedMemory", "with the size asked for", noncached_is_there},
    Promise{"MmMapIoSpace", "shows the local APIC", io_space_maps_devices},
    Promise{"MmUnmapIoSpace", "with the size mapped", io_space_maps_own_memory},
    Promise{"MmGetPhysicalMemoryRanges", "hold pool, in ascending order", ranges_hold_pool},
    Promise{"MmCopyMemory", "reads physical memory", physical_is_copied},
    Promise{"MmCopyMemory", "reads page tables, too", page_tables_are_copied},
    Promise{"MmCopyMemory", "says how far it came", virtual_is_copied_as_far_as_it_goes},
    Promise{"MmCopyMemory", "refuses devices, nothing, and strange flags",
            strange_copies_are_refused},
    Promise{"MmGetVirtualForPhysical", "finds a block of pool", virtual_is_found},
    Promise{"MmGetVirtualForPhysical", "finds page tables at their own place",
            page_tables_are_found},
};

constexpr std::array mistakes{
    Mistake{"MmIsAddressValid", "above DISPATCH_LEVEL",
            [] { at_high_level([] { static_cast<void>(MmIsAddressValid(nullptr)); }); },
            "IrqlTooHigh"},
    Mistake{"MmGetSystemRoutineAddress", "at DISPATCH_LEVEL",
            [] {
                UNICODE_STRING name{};
                at_irql(DISPATCH_LEVEL,
                        [&] { static_cast<void>(MmGetSystemRoutineAddress(&name)); });
            },
            "IrqlTooHigh"},
    Mistake{"MmAllocateContiguousMemory", "above DISPATCH_LEVEL",
            [] {
                at_high_level(
                    [] { static_cast<void>(MmAllocateContiguousMemory(0, physical(0))); });
            },
            "IrqlTooHigh"},
    Mistake{"MmAllocateContiguousMemorySpecifyCache", "above DISPATCH_LEVEL",
            [] {
                at_high_level([] {
                    static_cast<void>(MmAllocateContiguousMemorySpecifyCache(
                        0, physical(0), physical(0), physical(0), MmCached));
                });
            },
            "IrqlTooHigh"},
    Mistake{"MmAllocateContiguousNodeMemory", "a protection that it does not have",
            [] {
                static_cast<void>(MmAllocateContiguousNodeMemory(
                    PAGE_SIZE, physical(0), physical(~0ULL), physical(0), PAGE_READONLY, 0));
            },
            "BadPageProtection"},
    Mistake{"MmFreeContiguousMemory", "above DISPATCH_LEVEL",
            [] {
                void* const block = MmAllocateContiguousMemory(PAGE_SIZE, physical(~0ULL));
                at_high_level([=] { MmFreeContiguousMemory(block); });
            },
            "IrqlTooHigh"},
    Mistake{"MmFreeContiguousMemorySpecifyCache", "another size",
            [] {
                void* const block = MmAllocateContiguousMemory(PAGE_SIZE, physical(~0ULL));
                MmFreeContiguousMemorySpecifyCache(block, 2 * PAGE_SIZE, MmCached);
            },
            "FreedDifferently"},
    Mistake{
        "MmAllocateNonCachedMemory", "at DISPATCH_LEVEL",
        [] { at_irql(DISPATCH_LEVEL, [] { static_cast<void>(MmAllocateNonCachedMemory(0)); }); },
        "IrqlTooHigh"},
    Mistake{"MmFreeNonCachedMemory", "another size",
            [] { MmFreeNonCachedMemory(MmAllocateNonCachedMemory(PAGE_SIZE), 16); },
            "FreedDifferently"},
    Mistake{"MmCopyMemory", "at DISPATCH_LEVEL",
            [] {
                at_irql(DISPATCH_LEVEL, [] {
                    char byte{};
                    SIZE_T copied{};
                    static_cast<void>(
                        copy(&byte, number(&byte), 1, mm_copy_memory_virtual, copied));
                });
            },
            "IrqlTooHigh"},
    Mistake{"MmMapIoSpace", "memory that nobody has allocated",
            [] {
                // The neighbour of a page of pool is free: the lab gives out every other one.
                volatile char* const block = pool(PAGE_SIZE);
                const std::uint64_t next = physical_of(block) + PAGE_SIZE;
                free(block);
                MmUnmapIoSpace(MmMapIoSpace(physical(next), PAGE_SIZE, MmCached), PAGE_SIZE);
            },
            "FreeMemoryMapped"},
    Mistake{"MmMapIoSpace", "above DISPATCH_LEVEL",
            [] {
                at_high_level(
                    [] { static_cast<void>(MmMapIoSpace(physical(apic), 0, MmNonCached)); });
            },
            "IrqlTooHigh"},
    Mistake{"MmUnmapIoSpace", "another size",
            [] {
                void* const registers = MmMapIoSpace(physical(apic), PAGE_SIZE, MmNonCached);
                MmUnmapIoSpace(registers, 16);
                MmUnmapIoSpace(registers, PAGE_SIZE);
            },
            "UnmappedDifferently"},
    Mistake{"MmGetPhysicalMemoryRanges", "at DISPATCH_LEVEL",
            [] { at_irql(DISPATCH_LEVEL, [] { ExFreePool(MmGetPhysicalMemoryRanges()); }); },
            "IrqlTooHigh"},
    Mistake{"MmMapIoSpace", "a mapping stays until the end",
            [] { static_cast<void>(MmMapIoSpace(physical(apic), PAGE_SIZE, MmNonCached)); },
            "Leak"},
    Mistake{"MmAllocateNonCachedMemory", "a block stays until the end",
            [] { static_cast<void>(MmAllocateNonCachedMemory(PAGE_SIZE)); }, "Leak"},
};

constexpr std::array crashes{
    Crash{"MmFreeNonCachedMemory", "an address of pool", "-free-noncached",
          [] { MmFreeNonCachedMemory(const_cast<char*>(pool(PAGE_SIZE)), PAGE_SIZE); }, 0xC2},
    Crash{"MmFreeContiguousMemory", "twice", "-free-contiguous",
          [] {
              void* const block = MmAllocateContiguousMemory(PAGE_SIZE, physical(~0ULL));
              MmFreeContiguousMemory(block);
              MmFreeContiguousMemory(opaque(block));
          },
          0xC2},
};

constexpr std::array harmless{
    Harmless{"MmHighestUserAddress", "data"},
    Harmless{"MmSystemRangeStart", "data"},
    Harmless{"MmGetPhysicalAddress", "any IRQL, and 0 for an address that is not valid"},
    Harmless{"MmGetVirtualForPhysical", "undocumented: any IRQL, and null for what is not mapped"},
};

constexpr Contract contract{"contract_mm", promises, mistakes, crashes, harmless};

}  // namespace

extern "C" NTSTATUS DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path) {
    return examine(contract, driver, path);
}
