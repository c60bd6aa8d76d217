#include "tool/story/story_match.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <regex>
#include <utility>
#include <vector>

namespace hvp::tool {
namespace {

// Leading and trailing spaces go, inner runs become one. A section's number in the newer edition is
// added where a story is printed: it follows from the older one.
std::string squeezed(std::string_view whole) {
    static const std::regex newer{R"((SDM 3C [0-9.]+) +\(2022: [0-9.]+\))"};
    const std::string line = std::regex_replace(std::string{whole}, newer, "$1");
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

// Where the driver starts is what the run was asked for, and none of the stage's story.
std::string on_any_processor(const std::string& line) {
    static const std::regex start{"^driver DriverEntry on processor [0-9]+ "};
    return std::regex_replace(line, start, "driver DriverEntry on processor {number} ");
}

// A line of story.txt; with `{repeated}` at its end it stands for one or more.
class ExpectedLine {
public:
    explicit ExpectedLine(std::string_view line) {
        constexpr std::string_view mark = " {repeated}";
        is_repeated_ = line.ends_with(mark);
        line.remove_suffix(is_repeated_ ? mark.size() : 0);
        pattern_ = pattern_of(squeezed(line));
    }
    [[nodiscard]] bool matches(std::string_view step) const {
        return std::regex_match(squeezed(step), pattern_);
    }
    [[nodiscard]] bool is_repeated() const { return is_repeated_; }

private:
    std::regex pattern_;
    bool is_repeated_ = false;
};

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
            lines.push_back(on_any_processor(line));
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
    std::size_t step = 0;
    for (const std::string& line : wanted) {
        const ExpectedLine expected_line{line};
        if (step == steps.size()) {
            return fmt::format("step {} is missing: \"{}\"", step, line);
        }
        if (!expected_line.matches(steps[step])) {
            return fmt::format("step {} should be \"{}\", but is \"{}\"", step, line,
                               squeezed(steps[step]));
        }
        ++step;
        while (expected_line.is_repeated() && step < steps.size() &&
               expected_line.matches(steps[step])) {
            ++step;
        }
    }
    return steps.size() > step
               ? fmt::format("step {} is too much: \"{}\"", step, squeezed(steps[step]))
               : "";
}

}  // namespace hvp::tool
