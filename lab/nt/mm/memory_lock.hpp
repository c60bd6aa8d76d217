// One lock for all of the memory manager's data: frames, page tables, stacks, blocks.
#pragma once

#include "lab/nt/ke/lock.hpp"

namespace hvp::lab::mm {

inline constinit ke::Lock memory_lock{};

}  // namespace hvp::lab::mm
