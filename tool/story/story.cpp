#include "tool/story/story.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <iterator>
#include <map>

#include "tool/base/text.hpp"
#include "tool/record/exit_pairs.hpp"
#include "tool/record/words/manual.hpp"
#include "tool/story/fold.hpp"
#include "tool/story/sentences.hpp"

namespace hvp::tool {
namespace {

constexpr std::size_t witness_column = 6;
constexpr std::size_t text_column = 17;
constexpr std::size_t least_text_columns = 20;

std::string_view colour_of(std::string_view witness) {
    if (witness == "processor") {
        return "\033[36m";
    }
    if (witness == "guest") {
        return "\033[35m";
    }
    return witness == "lab" ? "\033[32m" : "\033[33m";
}

std::string start_of_line(const StoryStep& step, std::size_t number, bool colour) {
    if (step.witness.empty()) {
        return std::string(text_column, ' ');
    }
    const std::string padding(
        std::max(step.witness.size(), text_column - witness_column) - step.witness.size(), ' ');
    return colour ? fmt::format("{:>4}  {}{}\033[0m{} ", number, colour_of(step.witness),
                                step.witness, padding.substr(0, padding.size() - 1))
                  : fmt::format("{:>4}  {}{}", number, step.witness, padding);
}

// The story leaves out what has no sentence, and a long one does not show what came just before.
void add_latest_events(const Timeline& timeline, const Event& bug_check,
                       std::vector<StoryStep>& steps) {
    constexpr std::size_t most = 8;
    const auto events = timeline.before(bug_check, most);
    steps.push_back({"", fmt::format("the last {} events before it:", events.size())});
    for (const Event* event : events) {
        steps.push_back({"", in_short(*event), fmt::format("instruction {}", grouped(event->t))});
    }
}

}  // namespace

std::vector<StoryStep> story_of(const Timeline& timeline, const AddressNames& names,
                                const SentenceTable& table) {
    std::vector<StoryStep> steps;
    const ExitPairs exits{timeline};
    Sentences sentences{table, names, exits, timeline};
    std::map<const Event*, std::uint64_t> findings;
    for (const auto& [first, times] : timeline.repeated("lab", "Finding")) {
        findings.emplace(first, times);
    }
    for (const Event& event : timeline.events()) {
        const auto finding = findings.find(&event);
        if (event.is("lab", "Finding") && finding == findings.end()) {
            continue;  // told where it came first
        }
        std::vector<StoryStep> about = sentences.about(event);
        if (finding != findings.end() && finding->second > 1 && !about.empty()) {
            about.front().text += fmt::format(" × {}", grouped(finding->second));
        }
        std::ranges::move(about, std::back_inserter(steps));
        if (event.is("lab", "BugCheck")) {
            add_latest_events(timeline, event, steps);
        }
    }
    return folded(std::move(steps));
}

std::string lay_out(const std::vector<StoryStep>& steps, const StoryLayout& layout) {
    const std::size_t width = std::max<std::size_t>(layout.width, text_column + least_text_columns);
    const std::size_t text_width = width - text_column;
    std::string story;
    std::size_t number = 0;
    for (const StoryStep& step : steps) {
        std::string start = start_of_line(step, number, layout.colour);
        number += step.witness.empty() ? 0 : 1;
        std::vector<std::string> lines = wrapped_lines(printable(step.text), text_width);
        if (!step.aside.empty()) {
            const std::string aside = printable(with_newer_section(step.aside));
            const std::size_t used = columns(lines.back()) + 2 + columns(aside);
            if (used > text_width) {
                lines.emplace_back();
            }
            const std::size_t taken = columns(lines.back()) + columns(aside);
            lines.back() += std::string(std::max(text_width, taken) - taken, ' ') + aside;
        }
        for (const std::string& line : lines) {
            story += start + line + '\n';
            start = std::string(text_column, ' ');
        }
    }
    return story;
}

std::string grouped(std::uint64_t number) {
    std::string digits = std::to_string(number);
    for (std::size_t place = digits.size(); place > 3; place -= 3) {
        digits.insert(place - 3, " ");
    }
    return digits;
}

std::string size_text(std::uint64_t bytes) {
    constexpr std::uint64_t kilobyte = 1024;
    if (bytes < kilobyte) {
        return fmt::format("{} bytes", bytes);
    }
    return fmt::format("{} KB", (bytes + kilobyte / 2) / kilobyte);
}

}  // namespace hvp::tool
