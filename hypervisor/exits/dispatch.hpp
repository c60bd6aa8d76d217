// The exit paths of the VMM's own table, compiled once.
#pragma once

#include "hypervisor/exits/handler_table.hpp"

namespace hvp::vmx {

[[nodiscard]] ExitPath untraced_exits();
[[nodiscard]] ExitPath traced_exits();
[[nodiscard]] ExitPath traced_exits_with_registers();  ///< see Traced

}  // namespace hvp::vmx
