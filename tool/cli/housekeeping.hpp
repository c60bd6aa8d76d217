// The small commands: list, clean.
#pragma once

#include "tool/base/options.hpp"
#include "tool/base/repository.hpp"

namespace hvp::tool {

/// Shows the stages, each with the first sentence of its chapter.
[[nodiscard]] ExitStatus list(const Repository& repository);

/// Removes `build/` and `runs/`.
[[nodiscard]] ExitStatus clean(const Repository& repository);

}  // namespace hvp::tool
