// `./playground explain RUN` for a recorded run: what became of each rule at its first VM entry.
#pragma once

#include <filesystem>

#include "tool/base/options.hpp"

namespace hvp::tool {

/// Whether this is the folder of a run that was recorded, and in which no VM entry failed.
[[nodiscard]] bool is_recorded_run(const std::filesystem::path& folder);

/// Needs    is_recorded_run(options.file)
ExitStatus explain_run(const ExplainOptions& options);

}  // namespace hvp::tool
