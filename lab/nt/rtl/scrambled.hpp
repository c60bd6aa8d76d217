// Pseudo-random numbers: the same in every run with the same seed.
#pragma once

#include <cstdint>

namespace hvp::lab::rtl {

/// Every bit of the result depends on every bit of the value.
[[nodiscard]] constexpr std::uint64_t scrambled(std::uint64_t value) {
    value = (value ^ value >> 30) * 0xBF58'476D'1CE4'E5B9;
    value = (value ^ value >> 27) * 0x94D0'49BB'1331'11EB;
    return value ^ value >> 31;
}

}  // namespace hvp::lab::rtl
