// Timers: armed ones are in one list, ordered by the time at which they expire. Processor 0 checks
// it after each of its clock interrupts, at DISPATCH_LEVEL.
#pragma once

#include <cstdint>

#include "lab/nt/ke/dispatcher_objects.hpp"

namespace hvp::lab::ke {

/// Arms a timer, or arms it again; it is not signaled from now on.
///
/// Needs    `due` as wait's timeout. `period` in milliseconds; 0: once.
/// Returns  whether it was armed before
/// Where    dispatcher_lock is held
bool arm(Ktimer& timer, std::int64_t due, std::uint32_t period, Kdpc* dpc);

/// Returns  whether it was armed
/// Where    dispatcher_lock is held
bool disarm(Ktimer& timer);

/// Whether some timer is due. Cheap: for each clock interrupt.
[[nodiscard]] bool is_timer_due();

/// Signals the timers that are due, and queues their DPCs.
///
/// Where    DISPATCH_LEVEL
void expire_timers();

/// The armed timer that expires first, or the one after it, or null.
///
/// Where    dispatcher_lock is held
[[nodiscard]] Ktimer* first_timer();
[[nodiscard]] Ktimer* timer_after(Ktimer& timer);

}  // namespace hvp::lab::ke
