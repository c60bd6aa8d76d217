// "Did you mean …?"
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace hvp::tool {

/// Returns  how many letters have to be changed, added or removed to turn one word into the other.
[[nodiscard]] std::size_t distance(std::string_view a, std::string_view b);

/// Returns  the nearest of the known words; empty when none comes near.
[[nodiscard]] std::string nearest(std::string_view word, std::span<const std::string> known);

}  // namespace hvp::tool
