// Runs the emulator: starts it, reads its console and its log while it runs, and ensures that it
// ends.
#pragma once

#include <cstdint>
#include <expected>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "lab/machine/debugger.hpp"

namespace hvp::lab {

struct EmulatorRun {
    std::filesystem::path folder;  ///< in which it runs; holds bochsrc and rc
    DebuggerTalk::Machine machine;
    int stop_descriptor = -1;  ///< becomes readable when the run must end
    std::function<void(std::string_view bytes)> on_console;
    std::function<std::uint64_t(std::string_view bytes)> on_log;  ///< returns the last line's tick
    /// False ends the run. It may take its time: nothing is read meanwhile, so the emulator waits.
    std::function<bool()> go_on;
};

struct EmulatorOutcome {
    Ending ending = Ending::ended;
    std::optional<int> killed_by;  ///< the signal, if it was not ours
    std::string evidence;          ///< what the debugger said about a machine that hung
};

inline constexpr std::string_view emulator_program = "bochs-bin";

/// Runs the emulator to its end; no process of it remains.
///
/// Returns  how it ended, or the error number when it could not be started.
[[nodiscard]] std::expected<EmulatorOutcome, int> run_emulator(const EmulatorRun& run);

}  // namespace hvp::lab
