// Who called whom: the return addresses on a stack, innermost first.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "lab/nt/rtl/unwind.hpp"

namespace hvp::lab::ke {

/// At most so many frames are told; deeper ones are recursion or rubbish.
struct StackTrace {
    std::array<std::uint64_t, 32> addresses{};
    std::size_t count{};
    bool by_scan{};  ///< unwind data led nowhere: these are words that look like return addresses
};

[[nodiscard]] StackTrace walk_stack(rtl::Registers registers);

}  // namespace hvp::lab::ke
