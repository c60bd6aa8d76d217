// The TLB of the processor that calls.
#pragma once

#include <cstdint>

#include "lab/nt/mm/layout.hpp"

namespace hvp::lab::mm {

/// Windows' process-context identifiers where it has page tables of their own for user mode: those
/// have the first, the kernel's the second.
inline constexpr std::uint64_t user_pcid = 1;
inline constexpr std::uint64_t kernel_pcid = 2;

/// Drops the translations of some pages.
void invalidate(LinearAddress first, std::uint64_t pages);

/// Drops all translations.
void flush_tlb();

}  // namespace hvp::lab::mm
