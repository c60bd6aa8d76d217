// Kernel stacks: whole pages with nothing mapped below and above.
#pragma once

#include <cstdint>
#include <optional>

#include "lab/nt/mm/layout.hpp"

namespace hvp::lab::mm {

/// [Windows: KERNEL_STACK_SIZE] 24 KiB.
inline constexpr std::uint64_t thread_stack_pages = 6;
inline constexpr std::uint64_t interrupt_stack_pages = 4;

/// Stacks grow down from `end` to `limit`; an access outside faults.
struct Stack {
    LinearAddress limit{0};
    LinearAddress end{0};

    [[nodiscard]] bool holds(LinearAddress address) const {
        return address >= limit && address < end;
    }
};

/// A new stack, filled with a pattern so that its deepest use can be measured.
[[nodiscard]] std::optional<Stack> create_stack(std::uint64_t pages);

void destroy_stack(const Stack& stack);

/// How many bytes were used at the deepest point so far.
[[nodiscard]] std::uint64_t deepest_use(const Stack& stack);

/// Whether the address lies in one of the unmapped pages around stacks.
[[nodiscard]] bool is_stack_guard(LinearAddress address);

}  // namespace hvp::lab::mm
