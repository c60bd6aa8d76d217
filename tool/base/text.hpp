// Text, word by word and line by line.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace hvp::tool {

/// Returns  the text without blanks at its ends.
[[nodiscard]] std::string_view trimmed(std::string_view text);

/// Returns  the text with its ASCII letters small
[[nodiscard]] std::string lower_case(std::string_view text);

/// Whether this is text: few of its bytes are control characters. UTF-16 begins with its mark.
[[nodiscard]] bool is_text(std::string_view text);

/// Takes the text's first line, without its line end.
[[nodiscard]] std::string_view take_line(std::string_view& text);

/// Returns  the text as a terminal may have it: control characters, with them escape sequences and
///          line ends, and bytes that are not UTF-8 as \\x1b
[[nodiscard]] std::string printable(std::string_view text);

/// Returns  how many columns a UTF-8 text takes, as far as our own words go.
[[nodiscard]] std::size_t columns(std::string_view text);

/// Returns  the text in lines of at most `width` columns, broken at spaces where there are any.
[[nodiscard]] std::vector<std::string> wrapped_lines(std::string_view text, std::size_t width);

}  // namespace hvp::tool
