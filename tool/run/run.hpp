// `playground run`: one driver, one machine, one story.
#pragma once

#include "tool/base/options.hpp"
#include "tool/base/repository.hpp"

namespace hvp::tool {

[[nodiscard]] ExitStatus run(const RunOptions& options, const Repository& repository);

}  // namespace hvp::tool
