// What contracts about memory have in common.
#pragma once

#include <bit>

#include "tests/drivers/contract.hpp"

namespace hvp::tests {

inline constexpr ULONG tag = 'tseT';
inline constexpr ULONG two_pages = 2 * PAGE_SIZE;

[[nodiscard]] inline PHYSICAL_ADDRESS physical(std::uint64_t address) {
    PHYSICAL_ADDRESS value;
    value.QuadPart = static_cast<LONGLONG>(address);
    return value;
}

[[nodiscard]] inline std::uint64_t number(const volatile void* address) {
    return std::bit_cast<std::uint64_t>(address);
}

[[nodiscard]] inline std::uint64_t physical_of(const volatile void* address) {
    return static_cast<std::uint64_t>(MmGetPhysicalAddress(const_cast<void*>(address)).QuadPart);
}

[[nodiscard]] inline volatile char* pool(std::size_t bytes) {
    return static_cast<volatile char*>(ExAllocatePoolWithTag(NonPagedPool, bytes, tag));
}

inline void free(volatile void* block) {
    ExFreePoolWithTag(const_cast<void*>(block), tag);
}

template <typename Work>
void at_high_level(Work work) {
    at_irql(HIGH_LEVEL, work);
}

}  // namespace hvp::tests
