// What a debugging session shows of one stop, for people.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lab/machine/debugger_answers.hpp"
#include "tool/debug/history.hpp"
#include "tool/record/symbols/addresses.hpp"

namespace hvp::tool {

/// What the debugger said at a stop.
struct Sight {
    lab::DebuggerStop stop;
    std::optional<std::uint64_t> vmcs{};  ///< its physical address
    std::string console{};                ///< everything, word for word
};

/// Returns  the debugger's commands that show all that the texts below need.
[[nodiscard]] std::string look(std::optional<std::uint64_t> vmcs);

/// Returns  the addresses that the texts below name: look them up before
[[nodiscard]] std::vector<std::uint64_t> addresses_in(const Sight& sight);

[[nodiscard]] std::string place_text(const Sight& sight, const Position& here,
                                     const History& history, const AddressNames& names);
[[nodiscard]] std::string registers_text(const Sight& sight);
[[nodiscard]] std::string disassembly_text(const Sight& sight, const AddressNames& names);
[[nodiscard]] std::string vmcs_text(const Sight& sight, const AddressNames& names);
[[nodiscard]] std::string stack_text(const Sight& sight, const AddressNames& names);

}  // namespace hvp::tool
