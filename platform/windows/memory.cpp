#include "platform/windows/memory.hpp"

#include <cstring>

#include "platform/windows/nt.hpp"

namespace hvp::windows {

std::optional<PageRun> PageRun::allocate(const AtPassiveLevel&, std::size_t pages,
                                         arch::HostPhysicalAddress highest) {
    const std::size_t bytes = pages * arch::page_bytes;
    PHYSICAL_ADDRESS lowest_acceptable{};
    PHYSICAL_ADDRESS highest_acceptable{};
    highest_acceptable.QuadPart = static_cast<LONGLONG>(highest.raw());
    PHYSICAL_ADDRESS any_boundary{};
    // PAGE_READWRITE: without "execute". The older MmAllocateContiguousMemory always gives memory
    // that is executable, which memory integrity (HVCI) forbids and nothing here needs.
    void* const memory = MmAllocateContiguousNodeMemory(
        bytes, lowest_acceptable, highest_acceptable, any_boundary, PAGE_READWRITE, MM_ANY_NODE_OK);
    if (memory == nullptr) {
        return std::nullopt;
    }
    // Windows does not clear it, and the reserved bytes of VMX structures must be 0.
    std::memset(memory, 0, bytes);
    return PageRun{static_cast<std::byte*>(memory), bytes, physical_address_of(memory)};
}

PageRun::~PageRun() {
    if (start_ != nullptr) {
        MmFreeContiguousMemory(start_);
    }
}

arch::HostPhysicalAddress physical_address_of(const volatile void* something) {
    return arch::HostPhysicalAddress{
        static_cast<std::uint64_t>(MmGetPhysicalAddress(const_cast<void*>(something)).QuadPart)};
}

arch::HostPhysicalAddress physical_page_of(const volatile void* something) {
    return arch::page_of(physical_address_of(something));
}

bool read_physical(arch::GuestPhysicalAddress where, std::uint64_t& value) {
    MM_COPY_ADDRESS source{};
    source.PhysicalAddress.QuadPart = static_cast<LONGLONG>(where.raw());
    SIZE_T copied = 0;
    return MmCopyMemory(&value, source, sizeof value, mm_copy_memory_physical, &copied) ==
           STATUS_SUCCESS;
}

}  // namespace hvp::windows
