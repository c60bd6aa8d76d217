// What memory.cpp offers beside the names that everybody knows.
#pragma once

#include <cstddef>
#include <cstdint>

namespace hvp::lab::rtl {

/// How many bytes, in whole quadwords from the start, have that value; a tick for eight of them.
[[nodiscard]] std::size_t equal_quadwords(const std::uint8_t* from, std::size_t bytes,
                                          std::uint8_t value);

}  // namespace hvp::lab::rtl
