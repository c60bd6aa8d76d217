// Pages of pool that were given back, and that some processors may still remember.
//
// To interrupt all processors for each block that is freed would be most of what a busy machine
// does. So the others forget such pages when they change threads and at each clock interrupt, and
// all of them at the latest when many have gathered. Until then the frames serve nobody else.
// [SDM 3A 4.10.5 "Propagation of Paging-Structure Changes to Multiple Processors"]
#pragma once

#include <cstdint>

#include "lab/nt/mm/layout.hpp"

namespace hvp::lab::mm {

/// Unmaps pages. This processor forgets them at once.
void retire(LinearAddress first, std::uint64_t pages);

/// This processor forgets what was retired since it did so last.
///
/// Where    interrupts off
void flush_retired();

}  // namespace hvp::lab::mm
