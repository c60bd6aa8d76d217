// The control state of the processors that a driver has to leave as it found it.
#pragma once

namespace hvp::lab::examiner {

/// Every processor saves a snapshot of its control state.
///
/// Where    interrupts may be on
void take_snapshots();

/// Every processor, this one first, compares its state with its snapshot, reports each difference,
/// and restores the old value, so that the next load starts from the same state.
///
/// Where    the processor on which the driver has just returned, interrupts off
void compare_and_restore();

}  // namespace hvp::lab::examiner
