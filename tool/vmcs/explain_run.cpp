#include "tool/vmcs/explain_run.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <system_error>

#include "hypervisor/vmcs/names/field_names.hpp"
#include "tool/explain/explanation.hpp"
#include "tool/explain/rule_states.hpp"
#include "tool/explain/texts/sentences.hpp"
#include "tool/story/terminal.hpp"
#include "tool/vmcs/recorded_run.hpp"

namespace hvp::tool {
namespace {

namespace fs = std::filesystem;
using Moment = RecordedState::Moment;
using vmx::checks::Item;

// What an entry reads: exit information is of the exit before, if there was one.
VmcsImage image_at(const RecordedState& entry) {
    VmcsImage image;
    for (const auto& [encoding, value] : entry.fields) {
        const auto* field = vmx::find_field(encoding);
        if (field != nullptr && field->area() != vmx::Area::exit_information) {
            image.set({Item::Kind::field, encoding}, value);
        }
    }
    return image;
}

}  // namespace

bool is_run_without_failed_entry(const fs::path& folder) {
    std::error_code error;
    return fs::is_directory(folder, error) && fs::exists(folder / "summary.json", error) &&
           !fs::exists(folder / "vmcs.txt", error);
}

ExitStatus explain_run(const ExplainOptions& options) {
    const fs::path folder{options.file};
    const auto complain = [](const std::string& sentence, ExitStatus status) {
        fmt::print(stderr, "playground: {}\n", sentence);
        return status;
    };
    const auto states = read_recording(folder);
    if (!states) {
        return complain(states.error().sentence, states.error().status);
    }
    const auto first = std::ranges::find(*states, Moment::entry, &RecordedState::moment);
    const std::string model = options.has_model ? options.model : model_of(folder);
    const auto processor = ModelProcessor::of(model);
    if (first == states->end() || !processor) {
        return complain(first == states->end()
                            ? fmt::format("{}: no VM entry is recorded", options.file)
                            : fmt::format("{}: its summary.json names no model with VT-x; add "
                                          "--model",
                                          options.file),
                        ExitStatus::failed);
    }
    const VmcsImage image = image_at(*first);
    const Judged judged{image, *processor, ModelIs::known};
    const Explanation explanation = explain_image(judged);
    const auto rules = rule_states(judged);
    const ExplanationStyle style{.model = model, .width = layout_of_output().width};
    if (options.json) {
        Json json = explanation_json(judged, explanation, style);
        json["rule_states"] = rule_states_json(rules);
        fmt::print("{}\n", json.dump(2));
        return status_of(judged, explanation);
    }
    fmt::print("{} {}, at instruction {}, by the rules of VM entry:\n{}\n{}",
               word_of(first->moment), first->number, first->t,
               rule_states_text(rules, style.width), explanation_text(judged, explanation, style));
    return status_of(judged, explanation);
}

}  // namespace hvp::tool
