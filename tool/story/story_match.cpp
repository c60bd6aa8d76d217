#include "tool/story/story_match.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <vector>

namespace hvp::tool {
namespace {

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}
bool is_hexadecimal(char c) {
    return is_digit(c) || (c >= 'a' && c <= 'f');
}

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

// How many characters at the front a placeholder may stand for, at most.
std::size_t longest_run(std::string_view placeholder, std::string_view line) {
    if (placeholder == "{hex}") {
        const std::size_t prefix = line.starts_with("0x") ? 2 : 0;
        const auto end = std::ranges::find_if_not(line.substr(prefix), is_hexadecimal);
        const auto digits = static_cast<std::size_t>(end - line.substr(prefix).begin());
        return digits == 0 ? 0 : prefix + digits;
    }
    if (placeholder == "{number}") {
        std::size_t end = 0;
        while (end < line.size() &&
               (is_digit(line[end]) || (end > 0 && line[end] == ' ' && end + 1 < line.size() &&
                                        is_digit(line[end + 1])))) {
            ++end;
        }
        return end;
    }
    return line.size();
}

bool matches_squeezed(std::string_view expected, std::string_view line) {
    for (const std::string_view placeholder : {"{hex}", "{number}", "{text}"}) {
        if (!expected.starts_with(placeholder)) {
            continue;
        }
        const std::string_view rest = expected.substr(placeholder.size());
        const std::size_t least = placeholder == "{text}" ? 0 : 1;
        for (std::size_t taken = longest_run(placeholder, line); taken + 1 > least; --taken) {
            if (matches_squeezed(rest, line.substr(taken))) {
                return true;
            }
            if (taken == 0) {
                break;
            }
        }
        return false;
    }
    if (expected.empty() || line.empty()) {
        return expected.empty() && line.empty();
    }
    return expected[0] == line[0] && matches_squeezed(expected.substr(1), line.substr(1));
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
    return matches_squeezed(squeezed(expected), squeezed(line));
}

std::string story_difference(std::string_view expected, std::span<const std::string> told,
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
    const std::size_t both = std::min(wanted.size(), told.size());
    for (std::size_t i = 0; i < both; ++i) {
        if (!matches(wanted[i], told[i])) {
            return fmt::format("step {} should be \"{}\", but is \"{}\"", i, wanted[i],
                               squeezed(told[i]));
        }
    }
    if (wanted.size() > both) {
        return fmt::format("step {} is missing: \"{}\"", both, wanted[both]);
    }
    return told.size() > both
               ? fmt::format("step {} is too much: \"{}\"", both, squeezed(told[both]))
               : "";
}

}  // namespace hvp::tool
