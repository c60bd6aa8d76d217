// A processor's data, and its set-up as Windows does it.
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
    ExtendedState clock_extended;
};

/// How many processors have been started; their numbers are below.
[[nodiscard]] std::uint32_t processor_count();

/// One bit for each of them.
[[nodiscard]] std::uint64_t active_processors();

/// The block of a processor that was created.
[[nodiscard]] Processor& processor(std::uint32_t number);

/// The running processor's block. With interrupts on the thread may already run on another one.
[[nodiscard]] Processor& current_processor();

/// The processor's features.
[[nodiscard]] const hal::Features& features();

/// Executes CPUID, once, before anything depends on the features.
void detect_features();

/// Creates the block of a processor that is to be started. False: no memory.
[[nodiscard]] bool create_processor(std::uint32_t number);

/// Adds this processor to those that run.
void announce_processor();

/// Sets control registers, descriptor tables, MSRs and the KPCR as in a system thread of Windows.
///
/// Where    on that processor, once; page tables and stacks are the kernel's already
void initialise_processor(std::uint32_t number);

}  // namespace hvp::lab::ke
