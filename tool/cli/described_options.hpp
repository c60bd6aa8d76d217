// The options of the commands that have many, described for CLI11.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "tool/base/options.hpp"

namespace hvp::tool {

/// `firmware` and `driver`: as typed; what they become is checked when all are read.
void describe_run(CLI::App& run, RunOptions& options, std::string& firmware, std::string& driver);
void describe_vmcs(CLI::App& vmcs, VmcsOptions& options);
void describe_explain(CLI::App& explain, ExplainOptions& options);

}  // namespace hvp::tool
