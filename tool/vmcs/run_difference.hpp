// `./playground diff RUN RUN`: what changed from one run to another.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "tool/base/options.hpp"
#include "tool/record/event.hpp"

namespace hvp::tool {

/// Whether this folder has a run's summary.json.
[[nodiscard]] bool is_run(const std::filesystem::path& folder);

/// Returns  `exits 0 CPUID: 2 -> 3`, a line for each value that differs; without the time that the
///          host needed, which is another one each time
[[nodiscard]] std::string summary_difference(const Json& before, const Json& after);

/// Returns  the lines of the stories that only one has, marked with - and +, in their order; without
///          their numbers and the line with the time that the host needed
[[nodiscard]] std::string story_lines_difference(std::string_view before, std::string_view after);

/// Needs    is_run() for both
ExitStatus diff_runs(const DiffOptions& options);

}  // namespace hvp::tool
