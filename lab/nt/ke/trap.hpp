// Exceptions that nobody handles.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "lab/nt/ke/trap_frame.hpp"

namespace hvp::lab::ke {

/// Bug checks as Windows does for an exception without a handler: 0x7E in a system thread, 0x1E
/// elsewhere.
[[noreturn]] void unhandled_exception(const TrapFrame& frame, std::uint32_t code,
                                      std::array<std::uint64_t, 2> information,
                                      std::string_view detail);

}  // namespace hvp::lab::ke
