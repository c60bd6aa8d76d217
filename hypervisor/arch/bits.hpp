// Bits by the SDM's numbers.
#pragma once

#include <cstdint>

namespace hvp::arch {

/// Bits `high` to `low`, as the SDM writes them; none, if `high` is below `low`.
[[nodiscard]] constexpr std::uint64_t bits(unsigned high, unsigned low) {
    return high < low ? 0 : (~0ULL >> (63 - high)) & ~((1ULL << low) - 1);
}

[[nodiscard]] constexpr std::uint64_t bit(unsigned number) {
    return 1ULL << number;
}

}  // namespace hvp::arch
