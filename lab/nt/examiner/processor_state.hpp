// The control state of the processor that a driver has to leave as it found it.
#pragma once

namespace hvp::lab::examiner {

/// Remembers the processor's control state.
///
/// Where    the processor that the driver will run on; interrupts may be on
void take_snapshot();

/// Compares with the snapshot, reports each difference, and puts the old value back, so that what
/// follows (another load, or the end) starts clean.
///
/// Where    the same processor, interrupts off
void compare_and_restore();

}  // namespace hvp::lab::examiner
