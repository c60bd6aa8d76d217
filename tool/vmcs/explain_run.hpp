// `./playground explain RUN` for a recorded run: what became of each rule at its first VM entry.
#pragma once

#include <filesystem>

#include "tool/base/options.hpp"

namespace hvp::tool {

/// Whether this is the folder of a run, and without the VMCS of a VM entry that failed.
[[nodiscard]] bool is_run_without_failed_entry(const std::filesystem::path& folder);

/// Needs    is_run_without_failed_entry(options.file), and its recording
ExitStatus explain_run(const ExplainOptions& options);

}  // namespace hvp::tool
