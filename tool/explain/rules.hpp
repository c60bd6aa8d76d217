// `./playground rules`: the rules of VM entry, all of them or those that one looks for.
#pragma once

#include "tool/base/options.hpp"

namespace hvp::tool {

ExitStatus rules(const RulesOptions& options);

}  // namespace hvp::tool
