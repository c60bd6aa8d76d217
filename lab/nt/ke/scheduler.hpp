// Which thread runs where. Each processor has a queue of threads that are ready for it, and an idle
// thread that takes them from there.
//
// A thread that moves is put into its new processor's queue only when its old processor has left
// its stack: until then it is `leaving` there.
#pragma once

#include <cstdint>

namespace hvp::lab::ke {

struct Kthread;

/// Windows' vector of the software interrupt at DISPATCH_LEVEL. It is requested at any IRQL and
/// comes when the IRQL sinks below.
inline constexpr std::uint8_t dispatch_vector = 0x2F;

/// Threads move around in this direction.
void choose_direction(std::uint64_t seed);

/// Queues a thread that does not run.
void make_ready(Kthread& thread, std::uint32_t processor);

/// The idle thread's work: runs the next ready thread until that leaves; or waits for an interrupt.
void run_ready_thread_or_halt();

/// Binds the running thread to processors of the mask (0: to none in particular). Below
/// DISPATCH_LEVEL it is on one of them at return; else it goes there when the IRQL sinks.
///
/// Returns  the mask before
std::uint64_t bind_current_thread(std::uint64_t mask);

/// Leaves the running thread for good.
[[noreturn]] void end_current_thread();

/// Finishes a change of threads, on the new thread's stack. A new thread calls it first.
void arrive();

/// A clock interrupt has come: a thread that is not bound to a processor has to move on now and
/// then, so that a driver which forgot to bind it is found out.
void count_tick();

/// Where    the trap path, interrupts off
void on_dispatch_interrupt();

}  // namespace hvp::lab::ke
