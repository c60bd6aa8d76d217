// Which thread runs where. Each processor has a queue of threads that are ready for it, those of a
// higher priority in front, and an idle thread that takes them from there.
//
// A thread that moves is put into its new processor's queue only when its old processor has left
// its stack: until then it is `leaving` there. The same with one that waits, if it is woken so
// soon.
#pragma once

#include <cstdint>

#include "lab/nt/ke/thread.hpp"

namespace hvp::lab::ke {

/// Windows' vector of the software interrupt at DISPATCH_LEVEL. It is requested at any IRQL and
/// comes when the IRQL sinks below.
inline constexpr std::uint8_t dispatch_vector = 0x2F;

/// Threads move around in this direction.
void choose_direction(std::uint64_t seed);

/// Queues a new thread for `thread.processor`.
///
/// Where    dispatcher_lock is held
void make_ready(Kthread& thread);

/// Lets a thread that has waited go on: where it was if nobody runs there, else where nobody does.
///
/// Where    dispatcher_lock is held
void end_wait(Kthread& thread);

/// Takes a thread that is ready out of its queue.
///
/// Where    dispatcher_lock is held
void withdraw_from_queue(Kthread& thread);

/// The idle thread's work: runs the next ready thread until that leaves; or waits for an interrupt.
void run_ready_thread_or_halt();

/// Binds the running thread to processors of the mask (0: to none in particular). Below
/// DISPATCH_LEVEL it is on one of them at return; else it goes there when the IRQL sinks.
///
/// Returns  the mask before
std::uint64_t bind_current_thread(std::uint64_t mask);

/// Lets the next thread run; the running one has its `fate`. Returns when somebody switches back.
///
/// Where    interrupts off, below DISPATCH_LEVEL
void leave_current_thread();

/// Lets other threads of this processor run first.
///
/// Where    below DISPATCH_LEVEL
void yield();

/// Lets go who waits for the thread's end.
///
/// Where    dispatcher_lock is held
void announce_end(Kthread& thread);

/// Leaves the running thread for good.
[[noreturn]] void end_current_thread();

/// Finishes a change of threads, on the new thread's stack. A new thread calls it first.
void arrive();

/// A clock interrupt has come: a thread has to leave the processor to others now and then, and, if
/// it is not bound to it, to move on, so that a driver which forgot to bind it is found out.
///
/// Where    CLOCK_LEVEL
void count_tick();

/// Where    the trap path, interrupts off
void on_dispatch_interrupt();

/// Returns  the priority before; the new one counts from now on
Priority set_priority(Kthread& thread, Priority priority);

}  // namespace hvp::lab::ke
