// Freed pages of pool that some processors may still have in their TLBs.
//
// A TLB shootdown for each freed block would take most of a busy machine's time. So the other
// processors invalidate such pages lazily: at thread switches and at each clock interrupt, and by a
// shootdown when many are pending. Until then their frames are not reused.
// [SDM 3A 4.10.5 "Propagation of Paging-Structure Changes to Multiple Processors"]
#pragma once

#include <cstdint>

#include "lab/nt/mm/layout.hpp"

namespace hvp::lab::mm {

/// Unmaps pages, and invalidates them in this processor's TLB.
void retire(LinearAddress first, std::uint64_t pages);

/// Invalidates, on this processor, the pages that were retired since its last call.
///
/// Where    interrupts off
void flush_retired();

}  // namespace hvp::lab::mm
