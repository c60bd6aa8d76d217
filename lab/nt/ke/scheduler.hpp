// Which thread runs where. Each processor has a queue of threads that are ready for it, those of a
// higher priority first, and an idle thread that runs the first one.
//
// A thread that moves is put into its new processor's queue only after its old processor has left
// its stack: until then it is `leaving` there. The same applies to a thread that waits and is woken
// before that.
#pragma once

#include <cstdint>

#include "lab/nt/ke/thread.hpp"

namespace hvp::lab::ke {

/// Windows' vector of the software interrupt at DISPATCH_LEVEL. It is requested at any IRQL and is
/// delivered when the IRQL drops below that level.
inline constexpr std::uint8_t dispatch_vector = 0x2F;

/// Threads move around in this direction.
void choose_direction(std::uint64_t seed);

/// Queues a new thread for `thread.processor`.
///
/// Where    dispatcher_lock is held
void make_ready(Kthread& thread);

/// Makes a thread that has waited ready: on its last processor if that is idle, else on an idle
/// one.
///
/// Where    dispatcher_lock is held
void end_wait(Kthread& thread);

/// Removes a ready thread from its queue.
///
/// Where    dispatcher_lock is held
void withdraw_from_queue(Kthread& thread);

/// The idle thread's loop body: runs the next ready thread until it leaves the processor, or halts
/// until an interrupt.
void run_ready_thread_or_halt();

/// Binds the running thread to processors of the mask (0: removes the binding). Below
/// DISPATCH_LEVEL it runs on one of them at return; else it moves there when the IRQL drops.
///
/// Returns  the mask before
std::uint64_t bind_current_thread(std::uint64_t mask);

/// Switches to the next thread; the running one has its `fate`. Returns when another thread
/// switches back.
///
/// Where    interrupts off, below DISPATCH_LEVEL
void leave_current_thread();

/// Lets other threads of this processor run first.
///
/// Where    below DISPATCH_LEVEL
void yield();

/// Wakes the threads that wait for the thread's end.
///
/// Where    dispatcher_lock is held
void announce_end(Kthread& thread);

/// Leaves the running thread for good.
[[noreturn]] void end_current_thread();

/// Finishes a thread switch, on the new thread's stack. A new thread calls it first.
void arrive();

/// At a clock interrupt: after its time slice a thread yields to others, and if it is not bound to
/// this processor it moves to the next one, so that a driver that did not bind it is detected.
///
/// Where    CLOCK_LEVEL
void count_tick();

/// Where    the trap path, interrupts off
void on_dispatch_interrupt();

/// Returns  the priority before; the new one counts from now on
Priority set_priority(Kthread& thread, Priority priority);

}  // namespace hvp::lab::ke
