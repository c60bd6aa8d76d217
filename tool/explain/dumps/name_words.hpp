// Names in a line of a dump, word by word.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace hvp::tool {

/// No name of a field has more words, or more letters. It makes the time for a line proportional to
/// its length, whatever it is made of.
inline constexpr std::size_t most_name_words = 8;
inline constexpr std::size_t most_name_letters = 100;

/// Returns  the end of a text, as far as it may be a name
[[nodiscard]] std::string_view end_of(std::string_view text);

/// Returns  the last word of it
[[nodiscard]] std::string_view last_word(std::string_view text);

/// Returns  the name in front of a virtual processor's number: `efer` of `efer[1]`
[[nodiscard]] std::string_view without_index(std::string_view name);

/// Returns  its letters and digits, small
[[nodiscard]] std::string lower_letters(std::string_view name);

/// `small`: lower case
[[nodiscard]] bool contains_ignoring_case(std::string_view text, std::string_view small);

}  // namespace hvp::tool
