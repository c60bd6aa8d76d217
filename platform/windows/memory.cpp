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
    const auto physical = static_cast<std::uint64_t>(MmGetPhysicalAddress(memory).QuadPart);
    return PageRun{static_cast<std::byte*>(memory), bytes, arch::HostPhysicalAddress{physical}};
}

PageRun::~PageRun() {
    if (start_ != nullptr) {
        MmFreeContiguousMemory(start_);
    }
}

}  // namespace hvp::windows
