// `playground debug`: a run that one can stop anywhere. Runs are deterministic: each stop is a
// replay up to a tick, so going back costs what going forward does, and no emulator is alive while
// the user thinks.
#pragma once

#include "tool/base/options.hpp"
#include "tool/base/repository.hpp"

namespace hvp::tool {

[[nodiscard]] ExitStatus debug(const DebugOptions& options, const Repository& repository);

}  // namespace hvp::tool
