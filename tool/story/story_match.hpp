// Compares a run's story with that of its stage (stages/<name>/story.txt).
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace hvp::tool {

/// Whether a line is as expected. `{hex}` stands for a hexadecimal number, `{number}` for a decimal
/// one (also in groups), `{text}` for anything; runs of spaces count as one.
[[nodiscard]] bool matches(std::string_view expected, std::string_view line);

/// Compares the lines of a story.txt with the steps of a run, each as `witness text aside`. In
/// story.txt a line may begin with the step's number, and one that ends with `{repeated}` stands
/// for one or more; where DriverEntry starts is not compared; lines that do not begin with a
/// witness's name (a head, an end, a remark) are not compared. A driver that was loaded several
/// times has the same story each time, and only the last one has the last line.
///
/// Returns  the first difference in words, or an empty string.
[[nodiscard]] std::string story_difference(std::string_view expected,
                                           std::span<const std::string> steps, unsigned loads);

}  // namespace hvp::tool
