// The VM entries and exits of a recorded run on one processor, by number and by tick.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <vector>

#include "tool/debug/stop_at.hpp"
#include "tool/record/recording.hpp"

namespace hvp::tool {

/// A place in a run: how the emulator's debugger gets there.
struct Position {
    std::uint64_t tick = 0;   ///< of the instruction that is next, as the log counts
    std::uint64_t exit = 0;   ///< right after this VM exit, counted from 1; 0: elsewhere
    std::uint64_t entry = 0;  ///< right before this VM entry, counted from 1; 0: elsewhere
    std::string commands{};   ///< for the debugger

    [[nodiscard]] static Position at_tick(std::uint64_t tick);
};

class History {
public:
    struct Exit {
        std::uint64_t t;
        std::string reason;
        std::uint64_t qualification;
    };

    explicit History(const Recording& recording);

    /// Returns  the place, or why the run has none there
    ///
    /// Needs    `at`: no function, which only a replay can find
    [[nodiscard]] std::expected<Position, std::string> find(const StopAt& at) const;
    /// Returns  the first exit after a place, or the last one before it
    [[nodiscard]] std::optional<Position> exit_after(const Position& here) const;
    [[nodiscard]] std::optional<Position> exit_before(const Position& here) const;
    [[nodiscard]] std::optional<Position> entry_after(const Position& here) const;

    [[nodiscard]] const Exit& exit(std::uint64_t number) const { return exits_[number - 1]; }
    [[nodiscard]] std::uint64_t last_tick() const { return last_tick_; }
    [[nodiscard]] std::uint64_t exits() const { return exits_.size(); }
    [[nodiscard]] std::uint64_t entries() const { return entries_.size(); }
    /// Whether the instruction at this place is the guest's, by the log.
    [[nodiscard]] bool is_in_guest(const Position& here) const;
    /// Returns  the VMCS of the last VMLAUNCH or VMRESUME up to there: its physical address
    [[nodiscard]] std::optional<std::uint64_t> vmcs_at(const Position& here) const;

private:
    struct Attempt {
        std::uint64_t t;
        std::uint64_t vmcs;
    };
    [[nodiscard]] Position at_exit(std::uint64_t number) const;
    [[nodiscard]] Position at_entry(std::uint64_t number) const;

    std::vector<Exit> exits_;
    std::vector<std::uint64_t> entries_;
    std::vector<Attempt> attempts_;
    std::uint64_t last_tick_;
};

}  // namespace hvp::tool
