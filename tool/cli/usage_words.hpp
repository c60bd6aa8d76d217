// What is wrong with a command line, and what may have been meant.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace hvp::tool {

/// Returns  "; did you mean …?"; empty without a suggestion
[[nodiscard]] std::string did_you_mean(const std::string& suggestion);

/// Returns  the parser's complaint in one line, with what to do
[[nodiscard]] std::string what_is_wrong(CLI::App& app, const CLI::ParseError& error);

}  // namespace hvp::tool
