// The two records that a debugger finds through the parameters of bug check 0x7E.
#pragma once

#include <array>
#include <cstdint>

#include "lab/nt/ke/trap_frame.hpp"

namespace hvp::lab::ke {

/// Addresses of an EXCEPTION_RECORD and a CONTEXT.
struct ExceptionPointers {
    std::uint64_t record{};
    std::uint64_t context{};
};

/// Fills both from what the trap left. They stay until the next exception.
[[nodiscard]] ExceptionPointers describe_exception(const TrapFrame& frame, std::uint32_t code,
                                                   std::array<std::uint64_t, 2> information);

}  // namespace hvp::lab::ke
