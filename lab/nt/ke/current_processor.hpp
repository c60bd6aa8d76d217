// Which processor is this? Only processor 0 is started, so the answer is short for now.
#pragma once

#include <cstdint>

namespace hvp::lab::ke {

/// Number of the processor that executes this.
[[nodiscard]] constexpr std::uint32_t current_processor_number() {
    return 0;
}

}  // namespace hvp::lab::ke
