// Everything that one processor owns, and how it becomes a processor of Windows.
#pragma once

#include <cstdint>

#include "lab/nt/hal/features.hpp"
#include "lab/nt/ke/descriptors.hpp"
#include "lab/nt/ke/kpcr.hpp"

namespace hvp::lab::ke {

/// One processor's private memory.
struct Processor {
    Kpcr kpcr;
    alignas(4096) Idt idt;
    Gdt gdt;
    alignas(16) TaskStateSegment task;
};

/// The running processor's own block.
[[nodiscard]] Processor& current_processor();

/// What the processor can do.
[[nodiscard]] const hal::Features& features();

/// Asks CPUID, once, before anything depends on it.
void detect_features();

/// Control registers, tables, MSRs and the region behind GS, as Windows leaves them in a system
/// thread.
///
/// Where    the processor that is meant, once; page tables and stacks are the kernel's own.
void initialise_processor(std::uint32_t number);

}  // namespace hvp::lab::ke
