#include "tool/cli/option_checks.hpp"

#include <fmt/format.h>

#include <charconv>
#include <limits>

namespace hvp::tool {
namespace {

std::string complaint_on_number(std::string& text, std::uint64_t least, std::uint64_t most) {
    const bool is_hexadecimal = text.starts_with("0x") || text.starts_with("0X");
    const char* const first = text.data() + (is_hexadecimal ? 2 : 0);
    const char* const last = text.data() + text.size();
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(first, last, number, is_hexadecimal ? 16 : 10);
    if (error != std::errc{} || end != last || number < least || number > most) {
        return fmt::format("{} is not a whole number from {} to {}", text, least, most);
    }
    text = fmt::format("{}", number);  // the library would take 010 for 8
    return {};
}

}  // namespace

CLI::Validator whole_number(std::uint64_t least, std::uint64_t most) {
    return {[=](std::string& text) { return complaint_on_number(text, least, most); },
            most == std::numeric_limits<std::uint64_t>::max()
                ? ""
                : fmt::format("[{} - {}]", least, most)};
}

void refuse_empty_words(CLI::App& app) {
    const CLI::Validator not_empty{[](std::string& text) -> std::string {
                                       return text.empty() ? "an empty word is no value" : "";
                                   },
                                   ""};
    for (CLI::Option* option : app.get_options()) {
        if (option->get_items_expected_max() > 0) {
            option->transform(not_empty);
        }
    }
    for (CLI::App* command : app.get_subcommands([](CLI::App*) { return true; })) {
        refuse_empty_words(*command);
    }
}

}  // namespace hvp::tool
