// Runs a machine once more, to ask the emulator's debugger what its log does not say. Time is
// counted in instructions, so the same machine does the same thing at the same tick.
#pragma once

#include <chrono>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "lab/machine/debugger_answers.hpp"

namespace hvp::lab {

/// The configuration file of a replay: the machine's own, without the processors' log.
inline constexpr std::string_view replay_configuration = "bochsrc-replay";

struct Replay {
    std::filesystem::path folder;  ///< that of the run; holds `replay_configuration`
    std::string commands;          ///< for the debugger, line by line; `q` follows by itself
    int stop_descriptor = -1;      ///< becomes readable when nobody wants the answer any more
    std::chrono::milliseconds patience{0};
};

/// Starts the emulator, lets its debugger execute the commands, and waits for its end.
///
/// Returns  the stops of the machine, the one at its reset first; as many as there were in time
[[nodiscard]] std::vector<DebuggerStop> replay(const Replay& request);

/// Returns  the same as the debugger wrote it, line by line
[[nodiscard]] std::string replay_console(const Replay& request);

}  // namespace hvp::lab
