#include "tool/explain/explain.hpp"

#include <fmt/format.h>

#include <cstdio>
#include <filesystem>
#include <iostream>
#include <iterator>

#include "tool/base/files.hpp"
#include "tool/explain/explain_number.hpp"
#include "tool/explain/explanation.hpp"
#include "tool/explain/vmcs_dump.hpp"
#include "tool/story/terminal.hpp"

namespace hvp::tool {
namespace {

namespace fs = std::filesystem;

ExitStatus complain(const std::string& sentence) {
    fmt::print(stderr, "playground: {}\n", sentence);
    return ExitStatus::bad_usage;
}

std::expected<std::string, std::string> read_input(const std::string& file) {
    if (file == "-") {
        return std::string{std::istreambuf_iterator<char>{std::cin}, {}};
    }
    fs::path path{file};
    std::error_code error;
    if (fs::is_directory(path, error)) {
        // A run's folder: what it recorded of a VM entry that failed.
        path /= "vmcs.txt";
        if (!fs::exists(path, error)) {
            return std::unexpected{
                fmt::format("{}: no VM entry failed in this run: it has no vmcs.txt", file)};
        }
    }
    return read_text(path);
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
        fmt::print("{}\n", json.dump(2));
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
    const VmcsImage image = read_dump(*text);
    if (image.values().empty()) {
        return complain(fmt::format(
            "{}: no VMCS field was found in it{}", options.file,
            image.unknown.empty() ? "; see README.md for the forms that are read"
                                  : fmt::format("; line {}: {}: {}", image.unknown[0].number,
                                                image.unknown[0].name, image.unknown[0].why)));
    }
    const Judged judged{image, *model};
    const Explanation explanation = explain_image(image, judged);
    if (options.json) {
        fmt::print("{}\n", explanation_json(image, judged, explanation)
                               .dump(2, ' ', false, Json::error_handler_t::replace));
    } else {
        fmt::print("{}",
                   explanation_text(image, judged, explanation,
                                    {.model = options.model, .width = layout_of_output().width}));
    }
    return explanation.broken.empty() ? ExitStatus::passed : ExitStatus::failed;
}

}  // namespace hvp::tool
