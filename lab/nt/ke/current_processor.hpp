// Which processor is this?
#pragma once

#include <cstdint>

#include "lab/nt/hal/apic.hpp"

namespace hvp::lab::ke {

/// The emulator's maximum.
inline constexpr std::uint32_t most_processors = 8;

/// Number of the processor that executes this. With interrupts on, the thread may be elsewhere
/// before the answer is used.
[[nodiscard]] inline std::uint32_t current_processor_number() {
    return hal::apic_is_mapped ? hal::apic_id() : 0;
}

}  // namespace hvp::lab::ke
