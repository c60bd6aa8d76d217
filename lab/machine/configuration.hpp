// The emulator's input: its configuration file, the list of extra MSRs, its debugger's script.
#pragma once

#include <cstdint>
#include <string>

namespace hvp::lab {

/// The file descriptor through which the emulator's log leaves its process.
inline constexpr int log_descriptor = 9;

/// A machine; file names are relative to the folder in which the emulator runs.
struct MachineOptions {
    std::string model;
    unsigned processors = 1;
    unsigned memory_mib = 512;
    std::uint64_t timeout_ticks = 2'000'000'000;
    std::string rom_file;
    std::string ram_image_file;  ///< empty: none
    std::string msrs_file;
    bool processor_log =
        true;  ///< the processors log VMX operations; this takes most of a run's time
};

/// Returns  the text of the configuration file (bochsrc).
[[nodiscard]] std::string bochsrc(const MachineOptions& machine);

/// Returns  the text of the MSR list: registers that real processors have and the emulator lacks.
[[nodiscard]] std::string msr_list();

/// Returns  the debugger's script: set the time breakpoint, then run.
[[nodiscard]] std::string debugger_script(const MachineOptions& machine);

}  // namespace hvp::lab
