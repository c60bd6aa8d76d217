// The lines of a text that went through logs, terminals and mailers, as they once were.
//
// A log puts times and names before each line, a reply puts `>` there, and a mailer breaks a line
// that is too long for it. Here the quotes are taken away, and what a mailer has broken is joined
// again: a dump's values must not depend on the way that it took.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

namespace hvp::tool {

/// A line without quote marks, times and colours.
struct LogLine {
    std::string text;
    std::size_t number;  ///< of the first of the lines that it is made of, from 1
};

/// Calls `sink` with each line that is not empty, in order. Takes time in proportion to the text.
void for_each_log_line(std::string_view text, const std::function<void(const LogLine&)>& sink);

/// Returns  the length of what a log put before the line: `[  100.000001] `, `(XEN) [10:20:30] `
[[nodiscard]] std::size_t log_stamp(std::string_view line);

/// Returns  a text of UTF-16, as PowerShell's `>` writes it, in UTF-8; any other text as it is
[[nodiscard]] std::string without_wide_characters(std::string_view text);

}  // namespace hvp::tool
