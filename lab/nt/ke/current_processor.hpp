// Which processor is this?
#pragma once

#include <cstdint>

namespace hvp::lab::ke {

/// Number of the processor that executes this. With interrupts on, the thread may be elsewhere
/// before the answer is used.
[[nodiscard]] std::uint32_t current_processor_number();

}  // namespace hvp::lab::ke
