// `./playground explain`: why a VM entry fails, from a dump of the VMCS; and what a number means.
#pragma once

#include "tool/base/options.hpp"
#include "tool/base/repository.hpp"

namespace hvp::tool {

ExitStatus explain(const ExplainOptions& options, const Repository& repository);

}  // namespace hvp::tool
