// Records a run that was not recorded: the same machine is run once more, into the same folder.
#pragma once

#include <expected>
#include <filesystem>
#include <string>

#include "tool/base/options.hpp"
#include "tool/base/repository.hpp"

namespace hvp::tool {

struct NotRecorded {
    ExitStatus status;
    std::string why;
};

/// Whether a run's folder lacks the recording.
[[nodiscard]] bool lacks_recording(const std::filesystem::path& folder);

/// Writes vmcs.jsonl, and nothing else, into the folder of a run.
///
/// Returns  what could not be recorded, as a sentence; empty: nothing is missing
[[nodiscard]] std::expected<std::string, NotRecorded> record_again(
    const std::filesystem::path& folder, const Repository& repository);

}  // namespace hvp::tool
