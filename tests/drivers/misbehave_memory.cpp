#include "tests/drivers/misbehave_memory.hpp"

#include <cstddef>

/// [Windows: ExAllocatePool2] Newer than the headers.
extern "C" NTKERNELAPI PVOID NTAPI ExAllocatePool2(ULONG64 Flags, SIZE_T NumberOfBytes, ULONG Tag);

namespace hvp::tests {
namespace {

constexpr ULONG tag = 'tseT';
constexpr ULONG another_tag = 'rehT';
constexpr std::size_t small = 100;
constexpr ULONG64 nonpaged = 0x40;  // POOL_FLAG_NON_PAGED

void* allocate(std::size_t bytes = small) {
    return opaque(ExAllocatePool2(nonpaged, bytes, tag));
}

void* allocate_contiguous() {
    PHYSICAL_ADDRESS anywhere;
    anywhere.QuadPart = ~0LL;
    return opaque(MmAllocateContiguousMemory(PAGE_SIZE, anywhere));
}

}  // namespace

NTSTATUS leak_pool() {
    static_cast<void>(allocate());
    return STATUS_SUCCESS;
}

NTSTATUS leak_contiguous() {
    static_cast<void>(allocate_contiguous());
    return STATUS_SUCCESS;
}

NTSTATUS free_twice() {
    void* block = allocate();
    ExFreePoolWithTag(block, tag);
    ExFreePoolWithTag(opaque(block), tag);
    return STATUS_SUCCESS;
}

NTSTATUS free_with_wrong_tag() {
    ExFreePoolWithTag(allocate(), another_tag);
    return STATUS_SUCCESS;
}

NTSTATUS free_contiguous_as_pool() {
    ExFreePoolWithTag(allocate_contiguous(), 0);
    return STATUS_SUCCESS;
}

NTSTATUS free_pool_as_contiguous() {
    MmFreeContiguousMemory(allocate(PAGE_SIZE));
    return STATUS_SUCCESS;
}

NTSTATUS write_behind_block() {
    auto* block = static_cast<char*>(allocate());
    block[small] = 1;
    ExFreePoolWithTag(block, tag);
    return STATUS_SUCCESS;
}

NTSTATUS write_before_block() {
    auto* block = static_cast<char*>(allocate());
    *opaque(block - 1) = 1;
    ExFreePoolWithTag(block, tag);
    return STATUS_SUCCESS;
}

NTSTATUS write_far_behind_block() {
    auto* block = static_cast<volatile char*>(allocate(PAGE_SIZE));
    block[PAGE_SIZE] = 1;
    return STATUS_SUCCESS;
}

NTSTATUS read_freed_block() {
    auto* block = static_cast<volatile char*>(allocate());
    ExFreePoolWithTag(const_cast<char*>(block), tag);
    return opaque(block)[0];
}

// The processor that has read the block before must not remember where it was.
NTSTATUS read_block_freed_elsewhere() {
    const ULONG last = KeQueryActiveProcessorCount(nullptr) - 1;
    KeSetSystemAffinityThread(KAFFINITY{1} << last);
    auto* block = static_cast<volatile char*>(allocate());
    NTSTATUS status = block[0];
    KeSetSystemAffinityThread(1);
    ExFreePoolWithTag(const_cast<char*>(block), tag);
    KeSetSystemAffinityThread(KAFFINITY{1} << last);
    status += opaque(block)[0];
    KeRevertToUserAffinityThread();
    return status;
}

NTSTATUS allocate_above_dispatch_level() {
    KIRQL old{};
    KeRaiseIrql(DISPATCH_LEVEL + 1, &old);
    void* block = allocate();
    KeLowerIrql(old);
    ExFreePoolWithTag(block, tag);
    return STATUS_SUCCESS;
}

NTSTATUS refuse_and_leak() {
    static_cast<void>(allocate());
    return STATUS_NOT_SUPPORTED;
}

}  // namespace hvp::tests
