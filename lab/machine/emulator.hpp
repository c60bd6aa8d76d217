// Runs the emulator: starts it, reads both its channels while it runs, and makes sure that it ends.
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
    int stop_descriptor = -1;  ///< readable when somebody wants the run to end
    std::function<void(std::string_view bytes)> on_console;
    std::function<std::uint64_t(std::string_view bytes)> on_log;  ///< returns the last line's tick
    std::function<bool()> go_on;                                  ///< false ends the run
};

struct EmulatorOutcome {
    Ending ending = Ending::ended;
    std::optional<int> killed_by;  ///< the signal that somebody else sent
    std::string evidence;          ///< what the debugger said about a machine that hung
};

inline constexpr std::string_view emulator_program = "bochs-bin";

/// Runs the emulator to its end; afterwards nothing of it is left.
///
/// Returns  how it ended, or the error number when it could not be started.
[[nodiscard]] std::expected<EmulatorOutcome, int> run_emulator(const EmulatorRun& run);

}  // namespace hvp::lab
