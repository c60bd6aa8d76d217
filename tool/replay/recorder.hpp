// Records what the VMCS held at each VM entry and VM exit of a run, by running the machine once
// more.
//
// A driver that read 150 fields at each exit would be slower than the one that it tells about. The
// emulator's debugger stops the same machine at the same ticks instead, and reads the VMCS in
// memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "tool/record/timeline.hpp"
#include "tool/replay/recorded_state.hpp"
#include "tool/replay/replayed_vmcs.hpp"

namespace hvp::tool {

/// So many entries and exits are recorded; a longer run's later ones are left out.
inline constexpr std::size_t most_states = 1000;

struct RecordedStates {
    std::vector<RecordedState> states;
    std::uint64_t left_out = 0;  ///< entries and exits behind the last one that is recorded
    std::string complaint;       ///< why the recording ends before its end; empty: it does not
};

/// Returns  the entries and exits that the processor's log has, in order. Of their contents they
///          have what the log says: an exit's reason and qualification
[[nodiscard]] std::vector<RecordedState> moments_of(const Timeline& timeline);

/// Fills them from the stops of a replay, of which the first is the machine's reset; up to the
/// first stop that is not at its moment.
[[nodiscard]] RecordedStates recorded_at(std::vector<RecordedState> moments,
                                         std::span<const lab::DebuggerStop> stops);

/// Needs    a run on one processor: with more, a tick of the log is not one of the debugger
[[nodiscard]] RecordedStates record_states(const Timeline& timeline, const ReplayOfRun& replay);

/// Returns  how much was recorded, and what was not, as a sentence for the run's end
[[nodiscard]] std::string words_of(const RecordedStates& recorded);

}  // namespace hvp::tool
