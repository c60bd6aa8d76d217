// `playground test`: runs all tests, or all mutations, or both.
#pragma once

#include "tool/base/options.hpp"
#include "tool/base/repository.hpp"

namespace hvp::tool {

[[nodiscard]] ExitStatus test(const TestOptions& options, const Repository& repository);

}  // namespace hvp::tool
