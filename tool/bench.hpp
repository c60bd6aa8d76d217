// `playground bench`: measurements that a newcomer can repeat.
#pragma once

#include "tool/options.hpp"
#include "tool/repository.hpp"

namespace hvp::tool {

/// `startup`: seconds from the command to the end of the story, beside those of the bare emulator.
[[nodiscard]] ExitStatus bench(const BenchOptions& options, const Repository& repository);

}  // namespace hvp::tool
