// Interprocessor interrupts: run a routine on other processors, flush their TLBs, freeze them.
#pragma once

#include <cstdint>

#include "lab/nt/mm/layout.hpp"

namespace hvp::lab::ke {

/// Windows' vector of interprocessor interrupts.
inline constexpr std::uint8_t ipi_vector = 0xE1;

/// A routine that another processor wants this one to run.
struct Request {
    void (*routine)(void*){};
    void* context{};
    bool waiting{};   ///< pending: not yet begun
    bool finished{};  ///< the routine has returned; this processor no longer accesses the request
};

/// Runs a routine on a processor, as an interrupt there, and returns when it has returned.
///
/// Where    any IRQL; the routine runs with interrupts off, takes no time, and may use locks that
///          the caller does not hold
void run_on_processor(std::uint32_t number, void (*routine)(void*), void* context);

/// The same on every running processor, one after another: this one first.
void run_on_every_processor(void (*routine)(void*), void* context);

/// The same, on all of them in parallel, without a common start.
void run_everywhere_in_parallel(void (*routine)(void*), void* context);

/// The same on all running processors at once: each one waits until all have arrived, then all
/// begin. The routine may be a driver's: on the other processors it has a stack of its own, and the
/// interrupted code's extended state is saved and restored.
void run_on_all_at_once(void (*routine)(void*), void* context);

/// Seeds the order in which processors leave a barrier.
void choose_order(std::uint64_t seed);

/// A short delay that differs between processors and calls: processors in lockstep would hide
/// races.
void stagger();

/// A TLB shootdown: all processors invalidate their translations for these pages. Only then may the
/// frames be reused.
/// [SDM 3A 4.10.5 "Propagation of Paging-Structure Changes to Multiple Processors"]
void flush_tlbs(mm::LinearAddress first, std::uint64_t pages);

/// Runs this processor's pending request. For loops that wait with interrupts off.
void serve_requests();

/// Interrupts a processor so that it looks for work.
void wake(std::uint32_t number);

/// Where    the trap path, interrupts off
void on_ipi();

/// Halts all other processors for good, by NMI.
void freeze_others();

/// Whether some processor has called freeze_others.
[[nodiscard]] bool is_frozen();

/// Halts this processor for good.
[[noreturn]] void freeze();

}  // namespace hvp::lab::ke
