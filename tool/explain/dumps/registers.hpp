// Registers by their own names, without "guest" or "host": in the blocks that emulators, debuggers
// and tools print.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "tool/explain/dumps/segments.hpp"

namespace hvp::tool {

/// Returns  the encoding of the field that holds a register: `CR0`, `EFL`, `rip`, `efer`
[[nodiscard]] std::optional<std::uint32_t> register_field(std::string_view name, Side side);

/// Whether a name is one that dumps have, but no field of the VMCS: `EAX`, `DR6`, `CPL`,
/// `VMCS ID`. Nothing needs to be said about it.
[[nodiscard]] bool is_no_field(std::string_view name);

}  // namespace hvp::tool
