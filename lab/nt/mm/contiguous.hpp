// Physically contiguous memory.
#pragma once

#include <cstdint>

#include "lab/nt/mm/blocks.hpp"
#include "lab/nt/mm/frames.hpp"
#include "lab/nt/mm/page_tables.hpp"

namespace hvp::lab::mm {

/// Takes neighbouring frames and maps them.
///
/// Returns  null if no such run is free
[[nodiscard]] void* allocate_contiguous(std::uint64_t bytes, RunRequest request,
                                        Protection protection, std::uint64_t allocated_by);

/// Gives a live block back; its content becomes rubbish and its addresses invalid.
void free_contiguous(Block& block, std::uint64_t freed_by);

}  // namespace hvp::lab::mm
