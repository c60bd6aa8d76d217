// Where a debugging session stops, in the user's words.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

#include "tool/base/options.hpp"

namespace hvp::tool {

struct StopAt {
    enum class Kind { tick, exit_number, exit_reason, entry_number, function };
    Kind kind{};
    std::uint64_t number = 0;  ///< of the tick, or counted from 1
    std::string name{};        ///< of the reason in the emulator's words, or of the function

    friend bool operator==(const StopAt&, const StopAt&) = default;
};

/// Returns  the place that `tick:N`, `exit:N`, `exit:REASON`, `entry:N` or a function's name
///          means; or what is wrong with the text
[[nodiscard]] std::expected<StopAt, std::string> read_stop_at(std::string_view text);

/// Returns  why there can be no session with these options; empty: there can
[[nodiscard]] std::string debug_complaint(const DebugOptions& options);

}  // namespace hvp::tool
