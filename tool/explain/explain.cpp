#include "tool/explain/explain.hpp"

#include <fmt/format.h>

#include <cstdio>
#include <filesystem>

#include "tool/base/files.hpp"
#include "tool/base/output.hpp"
#include "tool/base/text.hpp"
#include "tool/base/visible.hpp"
#include "tool/explain/dumps/vmcs_dump.hpp"
#include "tool/explain/explain_number.hpp"
#include "tool/explain/explanation.hpp"
#include "tool/explain/texts/sentences.hpp"
#include "tool/record/words/manual.hpp"
#include "tool/story/terminal.hpp"

namespace hvp::tool {
namespace {

namespace fs = std::filesystem;

ExitStatus complain(const std::string& sentence) {
    fmt::print(stderr, "playground: {}\n", printable(sentence));
    return ExitStatus::bad_usage;
}

std::expected<std::string, std::string> read_input(const std::string& file) {
    if (file == "-") {
        return read_standard_input();
    }
    fs::path path{file};
    std::error_code error;
    // The summary of a run has the explanation of a failed VM entry; the VMCS is next to it.
    if (path.filename() == "summary.json" && fs::exists(path.parent_path() / "vmcs.txt", error)) {
        return read_text(path.parent_path() / "vmcs.txt");
    }
    if (fs::is_directory(path, error)) {
        // A run's folder: what it recorded of a VM entry that failed.
        path /= "vmcs.txt";
        if (!fs::exists(path, error)) {
            return std::unexpected{fmt::format(
                "{} has no vmcs.txt: it is not the folder of a run whose VM entry failed", file)};
        }
    }
    return read_text(path);
}

std::string why_nothing_was_found(const VmcsImage& image) {
    constexpr std::string_view nothing =
        "no VMCS field, register or failed VM entry was found in it";
    if (image.unknown.empty()) {
        return fmt::format("{}; README.md has the forms that are read", nothing);
    }
    const UnknownLine& first = image.unknown.front();
    return fmt::format(
        "{}; line {}: {}: {}{}", nothing, first.number, visible(first.name), first.why,
        first.suggestion.empty() ? "" : fmt::format("; did you mean {}?", first.suggestion));
}

ExitStatus explain_numbers(const ExplainOptions& options, const ModelProcessor& model) {
    const auto all = meanings(options, model);
    if (!all) {
        return complain(all.error());
    }
    Json json = Json::array();
    for (const NumberMeaning& one : *all) {
        if (options.json) {
            json.push_back(
                {{"number", one.what}, {"meaning", one.words}, {"source", one.citation}});
        } else {
            fmt::print("{}: {}\n{}\n", one.what, one.words, one.citation);
        }
    }
    if (options.json) {
        fmt::print("{}\n", json.dump(2, ' ', false, Json::error_handler_t::replace));
    } else {
        fmt::print("{}", wrapped(manual_editions(), 0, layout_of_output().width));
    }
    return ExitStatus::passed;
}

}  // namespace

ExitStatus explain(const ExplainOptions& options, const Repository&) {
    const auto model = ModelProcessor::of(options.model);
    if (!model) {
        return complain(fmt::format("--model {}: there are {}", options.model,
                                    fmt::join(ModelProcessor::names(), ", ")));
    }
    if (options.file.empty()) {
        return explain_numbers(options, *model);
    }
    const auto text = read_input(options.file);
    if (!text) {
        return complain(text.error());
    }
    const DumpReport report = explain_dump(*text, options, *model, layout_of_output().width);
    write_output(report.output);
    return report.complaint.empty()
               ? report.status
               : complain(fmt::format("{}: {}", options.file, report.complaint));
}

DumpReport explain_dump(std::string_view text, const ExplainOptions& options,
                        const ModelProcessor& model, std::size_t width) {
    if (!is_text(text)) {
        return {ExitStatus::bad_usage, "",
                "this is no text: too many of its bytes are no characters"};
    }
    const VmcsImage image = read_dump(text);
    if (image.values().empty()) {
        return {ExitStatus::bad_usage, "", why_nothing_was_found(image)};
    }
    const Judged judged{image, model, options.has_model ? ModelIs::known : ModelIs::assumed};
    const Explanation explanation = explain_image(judged);
    std::string output =
        options.json
            ? explanation_json(judged, explanation, {.model = options.model})
                      .dump(2, ' ', false, Json::error_handler_t::replace) +
                  "\n"
            : explanation_text(judged, explanation, {.model = options.model, .width = width});
    return {status_of(judged, explanation), std::move(output), ""};
}

}  // namespace hvp::tool
