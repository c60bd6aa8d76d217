// Exits of which two witnesses tell the same: the story needs but one line for both.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>

#include "tool/record/timeline.hpp"

namespace hvp::tool {

/// What a line of the story needs beside the processor's own event.
struct ToldExit {
    const Event* driver = nullptr;       ///< its VmExit about the same exit
    std::optional<std::uint64_t> ticks;  ///< from the exit to the next VM entry, if there was one
};

/// Pairs the processors' exits with those of a driver that names their handlers, one by one and in
/// order. Where the two differ both are told, each in its own line.
class ToldExits {
public:
    explicit ToldExits(const Timeline& timeline);

    /// Returns  what belongs to a processor's VmExit; nullptr: it is told alone
    [[nodiscard]] const ToldExit* about(const Event& exit) const;
    /// Whether the event, a driver's VmExit or a processor's VmEntry, is in the line of an exit.
    [[nodiscard]] bool holds(const Event& event) const { return held_.contains(&event); }

private:
    std::map<const Event*, ToldExit> exits_;
    std::set<const Event*> held_;
};

}  // namespace hvp::tool
