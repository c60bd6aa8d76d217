// Compares a run's story with the one that its stage must tell (stages/<name>/story.txt).
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace hvp::tool {

/// Whether a line is as expected. `{hex}` stands for a hexadecimal number, `{number}` for a decimal
/// one (also in groups), `{text}` for anything; runs of spaces count as one.
[[nodiscard]] bool matches(std::string_view expected, std::string_view line);

/// Compares the numbered lines of two stories, without their numbers. A driver that was loaded
/// several times tells the same story each time, and only the last one has the last line.
///
/// Returns  the first difference in words, or an empty string.
[[nodiscard]] std::string story_difference(std::string_view expected, std::string_view story,
                                           unsigned loads);

}  // namespace hvp::tool
