// Pool: blocks of any size for drivers and for the kernel itself.
#pragma once

#include <cstdint>

#include "lab/nt/mm/blocks.hpp"

namespace hvp::lab::ex {

/// What the caller wants.
struct PoolRequest {
    std::uint64_t bytes{};
    std::uint32_t tag{};
    bool executable{};
    bool zeroed{};
    mm::Owner owner{mm::Owner::kernel};
    std::uint64_t allocated_by{};
};

/// A page or more is page aligned. Less is aligned to 16 bytes, does not cross a page, and ends
/// where its page ends, so that the first access beyond it (and beyond the rounding) faults.
///
/// Returns  null if memory is short
[[nodiscard]] void* allocate(const PoolRequest& request);

/// Frees a live block; bug check 0xC1 if the guard bytes around it were overwritten.
///
/// Returns  false: another processor has freed it at the same time
bool free(mm::Block& block, std::uint64_t freed_by);

/// The live block that begins exactly at the address, or null.
[[nodiscard]] mm::Block* find_live(std::uint64_t address);

}  // namespace hvp::lab::ex
