#include "tool/cli/usage_words.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "tool/base/nearest.hpp"

namespace hvp::tool {
namespace {

// CLI11 says which argument it did not expect; we add what may have been meant.
std::string explain_extras(const CLI::App& app, const std::string& extra) {
    std::vector<std::string> known;
    for (const CLI::Option* option : app.get_options()) {
        for (const std::string& name : option->get_lnames()) {
            known.push_back("--" + name);
        }
    }
    for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
        known.push_back(command->get_name());
    }
    const std::string near = nearest(extra, known);
    const bool is_command = app.get_parent() == nullptr;
    const char* kind = extra.starts_with("-") ? "option" : is_command ? "command" : "argument";
    return fmt::format("unknown {} {}{}", kind, extra.empty() ? "''" : extra,
                       near.empty() ? "; --help shows what there is" : did_you_mean(near));
}

}  // namespace

std::string did_you_mean(const std::string& suggestion) {
    return suggestion.empty() ? "" : fmt::format("; did you mean {}?", suggestion);
}

std::string what_is_wrong(CLI::App& app, const CLI::ParseError& error) {
    std::vector<CLI::App*> commands = app.get_subcommands();
    CLI::App* innermost = commands.empty() ? &app : commands.front();
    const std::vector<std::string> extras = app.remaining(true);
    if (!extras.empty()) {
        return explain_extras(*innermost, extras.front());
    }
    std::string text = error.what();
    std::ranges::replace(text, '\n', ' ');
    return text + "; --help shows what there is";
}

}  // namespace hvp::tool
