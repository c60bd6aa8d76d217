// Calls into the driver: arguments, result, and the registers that it has to preserve.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "lab/nt/rtl/nt_types.hpp"

namespace hvp::lab::examiner {

/// For call_driver in driver_call.S, which knows the offsets.
struct DriverCall {
    std::uint64_t routine{};
    std::uint64_t argument_1{};
    std::uint64_t argument_2{};
    std::uint64_t result{};
    std::uint64_t rflags_before{};
    std::uint64_t rflags_after{};
    std::uint64_t irql_after{};
    /// RBX RBP RSI RDI R12 R13 R14 R15: a called function must preserve them.
    std::array<std::uint64_t, 8> general_before{};
    std::array<std::uint64_t, 8> general_after{};
    /// XMM6 to XMM15 likewise, two halves each.  [Windows: x64 calling convention]
    alignas(16) std::array<std::uint64_t, 20> vector_before{};
    alignas(16) std::array<std::uint64_t, 20> vector_after{};
};
static_assert(offsetof(DriverCall, general_before) == 56);
static_assert(offsetof(DriverCall, general_after) == 120);
static_assert(offsetof(DriverCall, vector_before) == 192);
static_assert(offsetof(DriverCall, vector_after) == 352);

/// Calls a routine of the driver, and reports and restores what it should have preserved:
/// registers, the IRQL, the interrupt flag.
///
/// Where    PASSIVE_LEVEL, on the driver's own thread. Interrupts are off at the end, so that the
///          rest of the state can be examined before anything else happens.
/// Returns  what the routine returned
[[nodiscard]] std::uint64_t call_and_examine(std::string_view what, DriverCall& call);

}  // namespace hvp::lab::examiner
