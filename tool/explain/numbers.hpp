// Numbers as people write them.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace hvp::tool {

/// A number as people write it: 0x10, 10h, 10, fffff801`00101000, FFFFFFFF_FFFFFFFFH in
/// hexadecimal; 0n16, `16 (decimal)` in decimal.
///
/// Returns  nothing if the text is anything else
[[nodiscard]] std::optional<std::uint64_t> number_in(std::string_view text);

/// Returns  the first word of a text, as far as it can belong to a number.
[[nodiscard]] std::string_view number_word(std::string_view text);

}  // namespace hvp::tool
