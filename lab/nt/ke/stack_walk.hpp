// A stack trace: the return addresses on a stack, innermost first.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "lab/nt/rtl/unwind.hpp"

namespace hvp::lab::ke {

/// At most so many frames; deeper ones are a recursion or not frames.
struct StackTrace {
    std::array<std::uint64_t, 32> addresses{};
    std::array<std::uint64_t, 32> functions{};  ///< where each one's function begins; 0: a leaf
    std::size_t count{};
    bool by_scan{};  ///< unwind data did not help: these are words that look like return addresses
};

/// A quadword of the kernel's half; nothing where nothing is mapped.
[[nodiscard]] std::optional<std::uint64_t> read_stack(std::uint64_t address);

/// Turns a function's registers into its caller's by unwind data. False: not possible.
[[nodiscard]] bool unwind_frame(rtl::Registers& registers);

/// All return addresses, as far as they can be found.
[[nodiscard]] StackTrace walk_stack(rtl::Registers registers);

}  // namespace hvp::lab::ke
