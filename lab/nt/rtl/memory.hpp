// What memory.cpp offers in addition to the C library's names.
#pragma once

#include <cstddef>
#include <cstdint>

namespace hvp::lab::rtl {

/// How many bytes from the start have that value, in whole quadwords; one tick per quadword.
[[nodiscard]] std::size_t equal_quadwords(const std::uint8_t* from, std::size_t bytes,
                                          std::uint8_t value);

}  // namespace hvp::lab::rtl
