// `diff`: what one stage has that another has not.
#pragma once

#include "tool/base/options.hpp"
#include "tool/base/repository.hpp"

namespace hvp::tool {

/// Shows the stages' sources against each other, in the order of reading; then which pieces of
/// hypervisor/ and platform/ only the second one uses, each with its opening sentence.
[[nodiscard]] ExitStatus diff(const DiffOptions& options, const Repository& repository);

}  // namespace hvp::tool
