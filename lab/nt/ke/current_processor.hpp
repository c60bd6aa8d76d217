// Which processor is this?
#pragma once

#include <cstdint>

namespace hvp::lab::ke {

/// The emulator has no more.
inline constexpr std::uint32_t most_processors = 8;

/// Number of the processor that executes this. With interrupts on, the thread may be elsewhere
/// before the answer is used.
[[nodiscard]] std::uint32_t current_processor_number();

}  // namespace hvp::lab::ke
