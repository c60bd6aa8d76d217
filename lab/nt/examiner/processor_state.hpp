// The control state of the processors that a driver has to leave as it found it.
#pragma once

namespace hvp::lab::examiner {

/// Every processor remembers its control state.
///
/// Where    interrupts may be on
void take_snapshots();

/// Every processor, this one first, compares with its snapshot, reports each difference, and puts
/// the old value back, so that what follows (another load, or the end) starts clean.
///
/// Where    the processor on which the driver has just returned, interrupts off
void compare_and_restore();

}  // namespace hvp::lab::examiner
