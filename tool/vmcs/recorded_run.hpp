// The folder of a recorded run: its states, and the processor that it ran on.
#pragma once

#include <expected>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "tool/base/options.hpp"
#include "tool/explain/model_processor.hpp"
#include "tool/replay/recorded_state.hpp"

namespace hvp::tool {

/// Why there is no answer, and how the program ends.
struct Failure {
    ExitStatus status;
    std::string sentence;
};

/// Returns  the states of its vmcs.jsonl, at least one
[[nodiscard]] std::expected<std::vector<RecordedState>, Failure> read_recording(
    const std::filesystem::path& folder);

/// Returns  the model that its summary.json names; empty when it names none
[[nodiscard]] std::string model_of(const std::filesystem::path& folder);

/// Returns  that model, if it has VT-x
[[nodiscard]] std::optional<ModelProcessor> processor_of(const std::filesystem::path& folder);

}  // namespace hvp::tool
