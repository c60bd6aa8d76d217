// What the unwinder gets to know of a state of the walk: registers, and the stack.
#pragma once

#include <cstdint>
#include <optional>

#include "lab/nt/rtl/unwind.hpp"
#include "tests/unit/lab_nt/function_walk.hpp"
#include "tests/unit/lab_nt/unwind_image.hpp"

namespace hvp::tests {

/// In place of what the walk does not know.
inline constexpr std::uint64_t unknown = 0xBAD0'BAD0'BAD0'BAD0;

/// The state whose stack `read_stack` reads.
inline const StackState* stack_now{};

inline std::optional<std::uint64_t> read_stack(std::uint64_t address) {
    if (address % 8 != 0 || address < StackState::lowest || address >= StackState::highest) {
        return std::nullopt;
    }
    const auto found = stack_now->stack.find(address);
    return found != stack_now->stack.end() ? found->second.value_or(unknown) : unknown;
}

inline rtl::Registers registers_of(const StackState& state, std::uint32_t address) {
    rtl::Registers registers{};
    for (std::size_t i = 0; i < registers.general.size(); ++i) {
        registers.general[i] = state.general[i].value_or(unknown);
        registers.vectors[i] = state.vectors[i].value_or(Vector{unknown, unknown});
    }
    registers.rsp() = state.rsp;
    registers.rip = unwind_image_base + address;
    return registers;
}

}  // namespace hvp::tests
