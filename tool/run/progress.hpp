// One line on the terminal that changes while a machine runs.
#pragma once

#include <chrono>
#include <cstdint>

namespace hvp::tool {

/// Quiet where standard output is no terminal, and in a run that is over in a moment.
class Progress {
public:
    using Clock = std::chrono::steady_clock;

    /// `wanted`: false where nobody reads the output but a program
    Progress(bool wanted, Clock::time_point started);
    Progress(const Progress&) = delete;
    Progress& operator=(const Progress&) = delete;
    ~Progress() { clear(); }

    void show(std::uint64_t ticks, std::uint64_t exits);
    /// Takes the line away.
    void clear();

private:
    bool wanted_;
    bool is_shown_ = false;
    Clock::time_point started_;
    Clock::time_point next_;
};

}  // namespace hvp::tool
