// Everything that one processor owns, and how it becomes a processor of Windows.
#pragma once

#include <cstdint>

#include "lab/nt/hal/features.hpp"
#include "lab/nt/ke/current_processor.hpp"
#include "lab/nt/ke/descriptors.hpp"
#include "lab/nt/ke/ipi.hpp"
#include "lab/nt/ke/kpcr.hpp"
#include "lab/nt/ke/thread.hpp"

namespace hvp::lab::ke {

/// One processor's private memory.
struct Processor {
    Kpcr kpcr;
    alignas(4096) Idt idt;
    Gdt gdt;
    alignas(16) arch::TaskStateSegment task;
    std::uint32_t number;
    Request request;
    Kthread idle;
    Kthread* ready_first;  ///< the threads that are ready for this processor (scheduler.hpp)
    Kthread* ready_last;
    Kthread* leaving;  ///< the thread that ran here before, while its stack is being left
    rtl::ListEntry dpcs;
    mm::Stack dpc_stack;        ///< for DPCs
    mm::Stack interrupt_stack;  ///< for a driver's routine in an interrupt
    ExtendedState dpc_extended;
    ExtendedState interrupt_extended;
};

/// How many processors have been started; their numbers are below.
[[nodiscard]] std::uint32_t processor_count();

/// One bit for each of them.
[[nodiscard]] std::uint64_t active_processors();

/// The block of a processor that was created.
[[nodiscard]] Processor& processor(std::uint32_t number);

/// The running processor's own block. Interrupts are off, or the thread may be elsewhere by now.
[[nodiscard]] Processor& current_processor();

/// What the processor can do.
[[nodiscard]] const hal::Features& features();

/// Asks CPUID, once, before anything depends on it.
void detect_features();

/// Makes the block of a processor that is to be started. False: no memory.
[[nodiscard]] bool create_processor(std::uint32_t number);

/// Counts this processor as one that runs.
void announce_processor();

/// Control registers, tables, MSRs and the region behind GS, as Windows leaves them in a system
/// thread.
///
/// Where    the processor that is meant, once; page tables and stacks are the kernel's own.
void initialise_processor(std::uint32_t number);

}  // namespace hvp::lab::ke
