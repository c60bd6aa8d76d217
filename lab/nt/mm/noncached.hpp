// Memory that the processor does not cache.
#pragma once

#include <cstdint>

#include "lab/nt/mm/blocks.hpp"

namespace hvp::lab::mm {

/// Frees a live block.
void free_noncached(Block& block, std::uint64_t freed_by);

}  // namespace hvp::lab::mm
