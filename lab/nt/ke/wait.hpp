// Waits on dispatcher objects. An object has a list of wait blocks, one for each thread that waits
// for it; a thread has two blocks, for the object and for its own timer.
#pragma once

#include <cstdint>

#include "lab/nt/ke/dispatcher_objects.hpp"
#include "lab/nt/ke/lock.hpp"
#include "lab/nt/rtl/nt_types.hpp"

namespace hvp::lab::ke {

/// Guards all dispatcher objects, threads' states, and the queues of threads, timers and DPCs. Its
/// holder acquires no other lock: while a processor waits for a lock it may run a driver's routine
/// (ipi.hpp), which may queue a DPC.
inline constinit Lock dispatcher_lock{};

/// That a thread waits for an object, and what its wait returns if the object ends it.
struct WaitBlock {
    rtl::ListEntry entry{};
    Kthread* thread{};
    DispatcherHeader* object{};
    rtl::NtStatus status{};
};

/// Initialises an object, without waiters.
void initialise(DispatcherHeader& header, ObjectType type, std::size_t bytes, std::int32_t state);

/// Wakes the threads that wait for an object that is signaled now, in the order of their waits.
///
/// Where    dispatcher_lock is held
void release_waiters(DispatcherHeader& object);

/// Ends a thread's wait without making it ready.
///
/// Where    dispatcher_lock is held
void withdraw_from_wait(Kthread& thread);

/// The running thread waits.
///
/// Needs    `object` null: only for the time. `timeout`, in units of 100 ns, negative: from now,
///          else system time; null: for ever; 0: not at all.
/// Returns  STATUS_SUCCESS or STATUS_TIMEOUT
/// Where    below DISPATCH_LEVEL, unless the timeout is 0
rtl::NtStatus wait(DispatcherHeader* object, const std::int64_t* timeout);

/// Whether a wait of the running thread for the object would end at once.
[[nodiscard]] bool would_wait(const DispatcherHeader& object);

}  // namespace hvp::lab::ke
