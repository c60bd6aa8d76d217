// What a function's instructions do to its stack, without its unwind data: a small interpreter of
// stores, loads and changes of RSP; every other result is unknown to it.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>

#include "lab/nt/ldr/pe_tables.hpp"

namespace hvp::tests {

using Vector = std::array<std::uint64_t, 2>;

/// The registers and the stack at one instruction; `nullopt`: the value is unknown.
struct StackState {
    static constexpr std::uint64_t entry_rsp = 0xFFFF'F880'0010'0FF8;
    static constexpr std::uint64_t lowest = entry_rsp - 0x10'0000;
    static constexpr std::uint64_t highest = entry_rsp + 0x1000;
    static constexpr std::uint64_t return_address = 0xFFFF'F801'9999'0000;

    std::uint64_t rsp{entry_rsp};
    std::array<std::optional<std::uint64_t>, 16> general{};  ///< RSP is not among them
    std::array<std::optional<Vector>, 16> vectors{};
    std::map<std::uint64_t, std::optional<std::uint64_t>> stack{};
    bool is_elsewhere{};  ///< RSP was loaded with an unknown value
};

/// What a caller may rely on.  [Windows: x64 calling convention]
inline constexpr std::array<std::size_t, 8> preserved_registers{3, 5, 6, 7, 12, 13, 14, 15};
inline constexpr std::size_t first_preserved_vector = 6;

/// The value of such a register at the function's begin.
[[nodiscard]] constexpr std::uint64_t original(std::size_t number) {
    return 0xAAAA'0000'0000'0000 + number;
}
[[nodiscard]] constexpr Vector original_vector(std::size_t number) {
    return {0xBBBB'0000'0000'0000 + number, 0xCCCC'0000'0000'0000 + number};
}

/// At the function's first instruction.
[[nodiscard]] StackState state_at_entry();

/// Whether an instruction leaves the function.
enum class Leaving : std::uint8_t {
    no,
    by_return,     ///< RET, or a jump to another function, which returns
    by_processor,  ///< IRETQ: the function was not entered by a CALL
};

/// Follows all branches inside a function, each instruction once.
class FunctionWalk {
public:
    /// Receives the state before each instruction.
    using Visit =
        std::function<void(std::uint32_t address, const StackState& state, Leaving leaving)>;

    FunctionWalk(lab::pe::Bytes memory, lab::pe::RuntimeFunction function,
                 std::uint32_t prologue_bytes, Visit visit)
        : memory_{memory},
          function_{function},
          prologue_bytes_{prologue_bytes},
          visit_{std::move(visit)} {}

    /// From one address on; each instruction is visited once.
    void from(std::uint32_t address, const StackState& state);

private:
    class Step;

    lab::pe::Bytes memory_;
    lab::pe::RuntimeFunction function_;
    std::uint32_t prologue_bytes_;
    Visit visit_;
    std::set<std::uint32_t> visited_;
};

}  // namespace hvp::tests
