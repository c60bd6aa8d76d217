// One debugging session: the commands, and where we are.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "tool/debug/history.hpp"
#include "tool/debug/stop_text.hpp"
#include "tool/record/addresses.hpp"

namespace hvp::tool {

class Session {
public:
    /// Runs the machine once more under the debugger's commands; returns what that wrote.
    using Replay = std::function<std::string(const std::string& commands)>;

    Session(const History& history, AddressNames& names, Replay replay)
        : history_{history}, names_{names}, replay_{std::move(replay)} {}

    /// Returns  the text of the stop there; or why there is none, and we are where we were
    [[nodiscard]] std::string go_to(const Position& position);
    /// Returns  the answer to one line of the user.
    [[nodiscard]] std::string answer(std::string_view line);
    [[nodiscard]] bool is_over() const { return is_over_; }

private:
    [[nodiscard]] std::string move(std::string_view command, std::string_view argument);
    [[nodiscard]] std::string step(std::string_view argument);
    [[nodiscard]] std::string raw(std::string_view line) const;

    const History& history_;
    AddressNames& names_;
    Replay replay_;
    Position here_;
    Sight sight_;
    bool is_over_ = false;
};

}  // namespace hvp::tool
