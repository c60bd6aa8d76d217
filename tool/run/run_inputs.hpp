// What a run needs before the machine starts: driver and kernel, and the emulator's files.
#pragma once

#include <expected>
#include <filesystem>
#include <string>
#include <vector>

#include "lab/nt/hosted/mapped_image.hpp"
#include "tool/base/options.hpp"
#include "tool/base/repository.hpp"
#include "tool/record/run_folder.hpp"
#include "tool/record/symbols/addresses.hpp"
#include "tool/run/summary.hpp"
#include "tool/story/sentence_table.hpp"

namespace hvp::tool {

struct RunInputs {
    std::filesystem::path driver_path;
    std::string name;  ///< of the stage, or of the driver's file without ".sys"
    std::vector<std::byte> driver;
    DriverFile driver_facts;
    lab::pe::MappedImage kernel;
    SentenceTable sentences;
};

/// Reads driver, kernel and the sentences for the driver's events.
[[nodiscard]] std::expected<RunInputs, std::string> read_inputs(const RunOptions& options,
                                                                const Repository& repository);

/// Writes configuration, script and memory image into the run's work folder.
[[nodiscard]] std::expected<void, std::string> write_machine(const RunOptions& options,
                                                             const RunInputs& inputs,
                                                             const Repository& repository,
                                                             const RunFolder& folder);

/// Returns  the names of what lies in the machine: the kernel, as the lab links it, and the driver where
///          the timeline says that it was loaded
[[nodiscard]] AddressNames image_names(const RunInputs& inputs, const Repository& repository,
                                       const Timeline& timeline);

/// Why the emulator could not be started, by `errno`, and how the program then ends.
[[nodiscard]] std::string emulator_complaint(int error);
[[nodiscard]] ExitStatus emulator_status(int error);

}  // namespace hvp::tool
