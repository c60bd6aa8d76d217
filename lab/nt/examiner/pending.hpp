// Threads, timers and DPCs that the driver has started and not stopped: they would soon run code
// that is no longer mapped.
#pragma once

#include <string_view>

namespace hvp::lab::examiner {

/// Reports the driver's threads that have not ended, its armed timers and its queued DPCs, and ends
/// them.
///
/// Where    after the driver's last call, before its image is unmapped; PASSIVE_LEVEL
void report_pending();

/// Only the DPCs, before the next clock interrupt runs them.
///
/// Where    interrupts off, right after the driver's last call
void report_queued_dpcs();

/// Reports mutexes that the running thread still owns after a call into the driver, and frees them.
void report_held_mutexes(std::string_view what);

}  // namespace hvp::lab::examiner
