// The interrupt request level: CR8, and nothing else.
#pragma once

#include <cstdint>
#include <string_view>

#include "hypervisor/arch/instructions.hpp"

namespace hvp::lab::ke {

/// [Windows: Managing Hardware Priorities] The levels that have names; drivers' own lie between.
enum class Irql : std::uint8_t {
    passive = 0,
    apc = 1,
    dispatch = 2,
    highest_device = 12,
    clock = 13,
    ipi = 14,
    high = 15,
};

[[nodiscard]] inline Irql current_irql() {
    return static_cast<Irql>(arch::read_cr8());
}

inline void set_irql(Irql level) {
    arch::write_cr8(static_cast<std::uint64_t>(level));
}

/// The level's name as drivers write it.
[[nodiscard]] constexpr std::string_view name_of(Irql level) {
    switch (level) {
        case Irql::passive:
            return "PASSIVE_LEVEL";
        case Irql::apc:
            return "APC_LEVEL";
        case Irql::dispatch:
            return "DISPATCH_LEVEL";
        case Irql::highest_device:
            return "DIRQL";
        case Irql::clock:
            return "CLOCK_LEVEL";
        case Irql::ipi:
            return "IPI_LEVEL";
        case Irql::high:
            return "HIGH_LEVEL";
    }
    return "DIRQL";
}

}  // namespace hvp::lab::ke
