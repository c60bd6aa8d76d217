// The work that launch's guest does: easy to check, and nothing that a compiler can know before.
#pragma once

#include <cstdint>

namespace hvp::launch {

/// The number of steps until `number`, at least 1, becomes 1, when an even one is halved and an odd
/// one tripled and increased.
[[nodiscard]] constexpr std::uint64_t collatz_steps(std::uint64_t number) {
    std::uint64_t steps = 0;
    for (; number > 1; ++steps) {
        number = number % 2 == 0 ? number / 2 : 3 * number + 1;
    }
    return steps;
}

}  // namespace hvp::launch
