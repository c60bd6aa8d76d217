// Physically contiguous memory.
#pragma once

#include <cstdint>

#include "lab/nt/mm/blocks.hpp"
#include "lab/nt/mm/frames.hpp"
#include "lab/nt/mm/page_tables.hpp"

namespace hvp::lab::mm {

/// Allocates contiguous frames and maps them.
///
/// Returns  null if no such run is free
[[nodiscard]] void* allocate_contiguous(std::uint64_t bytes, RunRequest request,
                                        Protection protection, std::uint64_t allocated_by);

/// Frees a live block; its content is overwritten and its addresses become invalid.
void free_contiguous(Block& block, std::uint64_t freed_by);

}  // namespace hvp::lab::mm
