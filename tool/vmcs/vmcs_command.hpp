// `./playground vmcs`: what the VMCS held at a VM entry or exit of a recorded run.
#pragma once

#include "tool/base/options.hpp"
#include "tool/base/repository.hpp"

namespace hvp::tool {

ExitStatus vmcs(const VmcsOptions& options, const Repository& repository);

}  // namespace hvp::tool
