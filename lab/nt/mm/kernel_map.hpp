// The kernel's own address space, which replaces the firmware's.
#pragma once

#include "lab/boot/boot_block.hpp"

namespace hvp::lab::mm {

/// Maps the kernel by its sections, the driver's file for reading, and nothing else; then leaves
/// the firmware's tables, in which RAM was mapped one to one.
///
/// Needs    features detected; IA32_EFER.NXE set where the processor has it
void enter_kernel_map(const BootBlock& boot, bool execute_disable_works);

}  // namespace hvp::lab::mm
