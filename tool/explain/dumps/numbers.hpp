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

/// A number in a dump that its notation leaves open, or not.
struct WrittenNumber {
    std::uint64_t value = 0;               ///< as hexadecimal, unless it is marked as decimal
    std::optional<std::uint64_t> decimal;  ///< as decimal, where it has no mark of its own
    bool shows_hexadecimal =
        false;  ///< has no mark, but letters or leading zeros that decimals never have
};

/// Reads a number as `number_in` does, and says whether it may be a decimal one.
[[nodiscard]] std::optional<WrittenNumber> written_number(std::string_view text);

/// Returns  the first word of a text, as far as it can belong to a number.
[[nodiscard]] std::string_view number_word(std::string_view text);

}  // namespace hvp::tool
