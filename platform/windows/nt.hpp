// The one place where Windows' own headers come in.
//
// mingw-w64's DDK headers are older than some documented functions; those are declared here, as
// Microsoft documents them.
#pragma once

#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Weverything"
#include <ntddk.h>
#pragma clang diagnostic pop

extern "C" {

/// [Windows: MmAllocateContiguousNodeMemory]
NTKERNELAPI PVOID NTAPI MmAllocateContiguousNodeMemory(SIZE_T NumberOfBytes,
                                                       PHYSICAL_ADDRESS LowestAcceptableAddress,
                                                       PHYSICAL_ADDRESS HighestAcceptableAddress,
                                                       PHYSICAL_ADDRESS BoundaryAddressMultiple,
                                                       ULONG Protect,
                                                       NODE_REQUIREMENT PreferredNode);

/// [Windows: MmCopyMemory]
union MM_COPY_ADDRESS {
    PVOID VirtualAddress;
    PHYSICAL_ADDRESS PhysicalAddress;
};
inline constexpr ULONG mm_copy_memory_physical = 1;
inline constexpr ULONG mm_copy_memory_virtual = 2;
NTKERNELAPI NTSTATUS NTAPI MmCopyMemory(PVOID TargetAddress, MM_COPY_ADDRESS SourceAddress,
                                        SIZE_T NumberOfBytes, ULONG Flags,
                                        PSIZE_T NumberOfBytesTransferred);

/// [Windows: EtwSetInformation]
enum EVENT_INFO_CLASS : int { EventProviderSetTraits = 2, EventProviderUseDescriptorType = 3 };
NTKERNELAPI NTSTATUS NTAPI EtwSetInformation(REGHANDLE RegHandle, EVENT_INFO_CLASS InformationClass,
                                             PVOID EventInformation, ULONG InformationLength);

}  // extern "C"
