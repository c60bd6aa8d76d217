// What one processor asks of another: to run a routine, to forget translations, to stand still.
#pragma once

#include <cstdint>

#include "lab/nt/mm/layout.hpp"

namespace hvp::lab::ke {

/// Windows' vector of interrupts between processors.
inline constexpr std::uint8_t ipi_vector = 0xE1;

/// A routine that somebody else wants to be run here.
struct Request {
    void (*routine)(void*){};
    void* context{};
    bool waiting{};   ///< nobody has begun it
    bool finished{};  ///< by then nobody touches it any more
};

/// Runs a routine on a processor, as an interrupt there, and returns when it has returned.
///
/// Where    any IRQL; the routine runs with interrupts off, takes no time, and may use locks that
///          the caller does not hold
void run_on_processor(std::uint32_t number, void (*routine)(void*), void* context);

/// The same on every running processor, one after the other: this one first.
void run_on_every_processor(void (*routine)(void*), void* context);

/// The same, all of them as soon as they come to it.
void run_everywhere_in_parallel(void (*routine)(void*), void* context);

/// The same on all running processors at once: each one waits until all have come, then all begin.
/// The routine may be a driver's: on the other processors it has a stack of its own, and the
/// extended state is kept for the interrupted code.
void run_on_all_at_once(void (*routine)(void*), void* context);

/// The order in which processors leave a barrier follows from it.
void choose_order(std::uint64_t seed);

/// A little time that differs between processors and calls: processors in step with one another
/// would hide races.
void stagger();

/// Every processor forgets how these pages were mapped. Only then may their frames serve others.
/// [SDM 3A 4.10.5 "Propagation of Paging-Structure Changes to Multiple Processors"]
void flush_tlbs(mm::LinearAddress first, std::uint64_t pages);

/// Does what others have asked of this processor. For loops that wait with interrupts off.
void serve_requests();

/// Interrupts a processor so that it looks for work.
void wake(std::uint32_t number);

/// Where    the trap path, interrupts off
void on_ipi();

/// Lets all other processors halt for good, by NMI.
void freeze_others();

/// Whether some processor has called freeze_others.
[[nodiscard]] bool is_frozen();

/// Halts this processor for good.
[[noreturn]] void freeze();

}  // namespace hvp::lab::ke
