// Notices a guest that gets nowhere: entered and left again, and nothing was executed between.
#pragma once

#include <cstdint>
#include <optional>

#include "lab/machine/processor_log.hpp"

namespace hvp::tool {

/// A VM exit that came so often in a row. The log does not have the guest's RIP: a guest may
/// execute ten thousand CPUIDs in a row, and each is an exit at once. The debugger has to tell.
struct RepeatedExit {
    unsigned cpu = 0;
    std::uint16_t reason_number = 0;
    std::uint64_t vmcs = 0;  ///< its physical address, as the last VMLAUNCH or VMRESUME named it
    std::uint64_t entered_at = 0;  ///< the tick of the last entry but one
    std::uint64_t count = 0;

    friend bool operator==(const RepeatedExit&, const RepeatedExit&) = default;
};

/// Watches one processor: with more, the log's ticks are too coarse, as they take turns.
class NoProgress {
public:
    static constexpr std::uint64_t first_suspicion = 4'096;

    void add(const lab::ProcessorEvent& event);
    /// Returns  the exit that repeats, as often as is suspicious
    [[nodiscard]] std::optional<RepeatedExit> suspicion() const;
    /// The debugger has seen that the guest gets on: wait longer before the next suspicion.
    void acquit();

private:
    RepeatedExit exit_;
    std::uint64_t entered_at_ = 0;
    std::uint64_t left_at_ = 0;
    std::uint64_t suspicious_ = first_suspicion;
};

}  // namespace hvp::tool
