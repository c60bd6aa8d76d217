// One debugging session: the commands, and where we are.
#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tool/debug/history.hpp"
#include "tool/debug/stop_text.hpp"
#include "tool/record/symbols/addresses.hpp"

namespace hvp::tool {

class Session {
public:
    /// Runs the machine once more under the debugger's commands; returns what that wrote.
    using Replay = std::function<std::string(const std::string& commands)>;

    /// Returns  the addresses in the machine where functions of this name begin
    using Lookup = std::function<std::vector<std::uint64_t>(std::string_view name)>;

    Session(const History& history, AddressNames& names, Replay replay, Lookup lookup)
        : history_{history},
          names_{names},
          replay_{std::move(replay)},
          lookup_{std::move(lookup)} {}

    /// Returns  the place, or why there is none; a function: where it is called first
    [[nodiscard]] std::expected<Position, std::string> find(std::string_view place) const;

    /// Returns  the text of the stop there; or why there is none, and we are where we were
    [[nodiscard]] std::string go_to(const Position& position);
    /// Returns  the answer to one line of the user.
    [[nodiscard]] std::string answer(std::string_view line);
    [[nodiscard]] bool is_over() const { return is_over_; }

private:
    [[nodiscard]] std::string move(std::string_view command, std::string_view argument);
    [[nodiscard]] std::string add_break(std::string_view name);
    [[nodiscard]] std::string go_on();
    [[nodiscard]] std::optional<Position> reach(const std::string& commands,
                                                const std::vector<std::uint64_t>& addresses) const;
    [[nodiscard]] std::string step(std::string_view argument);
    [[nodiscard]] std::string raw(std::string_view line) const;

    const History& history_;
    AddressNames& names_;
    Replay replay_;
    Lookup lookup_;
    std::vector<std::uint64_t> breaks_;
    Position here_;
    Sight sight_;
    bool is_over_ = false;
};

}  // namespace hvp::tool
