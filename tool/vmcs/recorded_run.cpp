#include "tool/vmcs/recorded_run.hpp"

#include <fmt/format.h>

#include <system_error>

#include "tool/base/files.hpp"
#include "tool/record/event.hpp"

namespace hvp::tool {

namespace fs = std::filesystem;

std::expected<std::vector<RecordedState>, Failure> read_recording(const fs::path& folder) {
    std::error_code error;
    const fs::path file = folder / "vmcs.jsonl";
    if (!fs::is_directory(folder, error)) {
        return std::unexpected{
            Failure{ExitStatus::bad_usage,
                    fmt::format("{} is no folder of a run; ./playground run --record makes one",
                                folder.string())}};
    }
    if (!fs::exists(file, error)) {
        return std::unexpected{
            Failure{ExitStatus::bad_usage,
                    fmt::format("{} has no vmcs.jsonl: the run was not recorded; add --record to "
                                "the run",
                                folder.string())}};
    }
    const auto text = read_text(file);
    if (!text) {
        return std::unexpected{Failure{ExitStatus::failed, text.error()}};
    }
    auto states = read_states(*text);
    if (!states) {
        return std::unexpected{
            Failure{ExitStatus::failed, fmt::format("{}: {}", file.string(), states.error())}};
    }
    if (states->empty()) {
        return std::unexpected{
            Failure{ExitStatus::failed,
                    fmt::format("{} is empty: the run had no VM entry", file.string())}};
    }
    return std::move(*states);
}

// The model that the run had, by its summary.
std::string model_of(const fs::path& folder) {
    const auto text = read_text(folder / "summary.json");
    const Json summary = text ? Json::parse(*text, nullptr, false) : Json();
    const Json model =
        summary.is_object() && summary.contains("machine") && summary["machine"].is_object()
            ? summary["machine"].value("model", Json())
            : Json();
    return model.is_string() ? model.get<std::string>() : "";
}

std::optional<ModelProcessor> processor_of(const fs::path& folder) {
    return ModelProcessor::of(model_of(folder));
}

}  // namespace hvp::tool
