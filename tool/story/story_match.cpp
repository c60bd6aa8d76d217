#include "tool/story/story_match.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <regex>
#include <utility>
#include <vector>

namespace hvp::tool {
namespace {

// Leading and trailing spaces go, inner runs become one.
std::string squeezed(std::string_view line) {
    std::string result;
    for (const char c : line) {
        if (c != ' ' || (!result.empty() && result.back() != ' ')) {
            result += c;
        }
    }
    if (result.ends_with(' ')) {
        result.pop_back();
    }
    return result;
}

// The placeholders as parts of a regular expression; all else means itself.
std::regex pattern_of(const std::string& expected) {
    static const std::regex special{R"([.*+?^$|()\[\]\\/])"};
    std::string pattern = std::regex_replace(expected, special, R"(\$&)");
    for (const auto& [placeholder, meaning] : {std::pair{R"(\{hex\})", "(?:0x)?[0-9a-f]+"},
                                               {R"(\{number\})", "[0-9]+(?: [0-9]+)*"},
                                               {R"(\{text\})", ".*"}}) {
        pattern = std::regex_replace(pattern, std::regex{placeholder}, meaning);
    }
    return std::regex{pattern};
}

constexpr std::array<std::string_view, 4> witnesses{"driver ", "guest ", "processor ", "lab "};

std::vector<std::string> expected_lines(std::string_view story) {
    std::vector<std::string> lines;
    while (!story.empty()) {
        const std::size_t end = std::min(story.find('\n'), story.size());
        std::string line = squeezed(story.substr(0, end));
        story.remove_prefix(std::min(end + 1, story.size()));
        const std::size_t text = line.find_first_not_of("0123456789 ");
        line.erase(0, std::min(text, line.size()));
        if (std::ranges::any_of(witnesses, [&](auto who) { return line.starts_with(who); })) {
            lines.push_back(std::move(line));
        }
    }
    return lines;
}

}  // namespace

bool matches(std::string_view expected, std::string_view line) {
    return std::regex_match(squeezed(line), pattern_of(squeezed(expected)));
}

std::string story_difference(std::string_view expected, std::span<const std::string> steps,
                             unsigned loads) {
    const std::vector<std::string> wanted_once = expected_lines(expected);
    if (wanted_once.empty()) {
        return "it has no line that begins with driver, guest, processor or lab";
    }
    std::vector<std::string> wanted;
    for (unsigned load = 0; load < loads; ++load) {
        const bool last = load + 1 == loads;
        wanted.insert(wanted.end(), wanted_once.begin(), wanted_once.end() - (last ? 0 : 1));
    }
    const std::size_t both = std::min(wanted.size(), steps.size());
    for (std::size_t i = 0; i < both; ++i) {
        if (!matches(wanted[i], steps[i])) {
            return fmt::format("step {} should be \"{}\", but is \"{}\"", i, wanted[i],
                               squeezed(steps[i]));
        }
    }
    if (wanted.size() > both) {
        return fmt::format("step {} is missing: \"{}\"", both, wanted[both]);
    }
    return steps.size() > both
               ? fmt::format("step {} is too much: \"{}\"", both, squeezed(steps[both]))
               : "";
}

}  // namespace hvp::tool
