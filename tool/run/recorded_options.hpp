// The options of a run in its summary.json: with them the same machine can be run again.
#pragma once

#include <optional>

#include "tool/base/options.hpp"
#include "tool/record/event.hpp"

namespace hvp::tool {

/// Returns  `options` of summary.json: what changes the machine, beside its `machine`
[[nodiscard]] Json options_json(const RunOptions& options);

/// Returns  the options of the run that has this summary; nothing when it does not have all of them
[[nodiscard]] std::optional<RunOptions> options_of(const Json& summary);

}  // namespace hvp::tool
