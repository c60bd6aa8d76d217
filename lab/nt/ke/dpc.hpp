// Deferred procedure calls: one queue for each processor, emptied at DISPATCH_LEVEL on a stack of
// its own.
#pragma once

#include "lab/nt/ke/dispatcher_objects.hpp"

namespace hvp::lab::ke {

struct Processor;

/// Gives the processor an empty queue.
void initialise_dpcs(Processor& processor);

/// Puts a DPC into its processor's queue, and interrupts that processor if the importance says so.
///
/// Returns  false, and does nothing, if it is already queued
/// Where    any IRQL
bool queue_dpc(Kdpc& dpc, void* argument_1, void* argument_2);

/// Returns  whether it was queued
/// Where    any IRQL
bool unqueue_dpc(Kdpc& dpc);

/// Runs all DPCs in this processor's queue.
///
/// Where    DISPATCH_LEVEL, interrupts off; on while a routine runs
void run_dpcs(Processor& here);

/// Returns when all DPCs that are queued now have run, on all processors.
///
/// Where    PASSIVE_LEVEL
void flush_dpcs();

/// The first DPC in a processor's queue, or the one after it, or null.
///
/// Where    dispatcher_lock is held
[[nodiscard]] Kdpc* first_dpc(Processor& processor);
[[nodiscard]] Kdpc* dpc_after(Processor& processor, Kdpc& dpc);

}  // namespace hvp::lab::ke
