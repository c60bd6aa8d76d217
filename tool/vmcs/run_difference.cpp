#include "tool/vmcs/run_difference.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <system_error>
#include <vector>

#include "tool/base/files.hpp"
#include "tool/base/text.hpp"
#include "tool/vmcs/recorded_run.hpp"
#include "tool/vmcs/vmcs_text.hpp"

namespace hvp::tool {
namespace {

namespace fs = std::filesystem;

// `/exits/0/CPUID` of a flattened object, for people.
std::string words_of_path(std::string path) {
    path.erase(0, 1);
    std::ranges::replace(path, '/', ' ');
    return path;
}

std::string value_at(const Json& flat, const std::string& path) {
    const auto found = flat.find(path);
    return found == flat.end() ? "nothing" : printable(text_of(*found));
}

// The line at the end, "passed in 0.4 s · runs/latest/", differs each time.
bool has_host_time(std::string_view line) {
    constexpr std::string_view unit = " s · ";
    const std::size_t in = line.find(" in ");
    const std::size_t seconds = line.find(unit);
    return in != std::string_view::npos && seconds != std::string_view::npos && in < seconds &&
           line.ends_with('/');
}

// One line more would give every later one another number.
std::string_view without_number(std::string_view line) {
    constexpr std::string_view blanks_and_digits = " 0123456789";
    const std::size_t end = line.find_first_not_of(blanks_and_digits);
    return line.starts_with(' ') && end != std::string_view::npos ? line.substr(end) : line;
}

std::vector<std::string_view> story_lines(std::string_view text) {
    std::vector<std::string_view> lines;
    while (!text.empty()) {
        const std::string_view line = take_line(text);
        if (!has_host_time(line)) {
            lines.push_back(without_number(line));
        }
    }
    return lines;
}

using Lines = std::vector<std::string_view>;

// The lengths of the longest common parts of what follows each pair of lines.
class CommonLengths {
public:
    CommonLengths(const Lines& before, const Lines& after)
        : columns_{after.size() + 1}, lengths_((before.size() + 1) * columns_) {
        for (std::size_t i = before.size(); i-- > 0;) {
            for (std::size_t j = after.size(); j-- > 0;) {
                lengths_[i * columns_ + j] = before[i] == after[j]
                                                 ? at(i + 1, j + 1) + 1
                                                 : std::max(at(i + 1, j), at(i, j + 1));
            }
        }
    }
    [[nodiscard]] std::uint32_t at(std::size_t before, std::size_t after) const {
        return lengths_[before * columns_ + after];
    }

private:
    std::size_t columns_;
    std::vector<std::uint32_t> lengths_;
};

std::optional<Json> summary_of(const fs::path& run) {
    const auto text = read_text(run / "summary.json");
    Json summary = text ? Json::parse(*text, nullptr, false) : Json();
    return summary.is_object() ? std::optional{std::move(summary)} : std::nullopt;
}

// What the VMCS held at the first entry of each, where both are recorded.
std::string entry_difference(const fs::path& before, const fs::path& after) {
    const auto first = read_recording(before);
    const auto second = read_recording(after);
    if (!first || !second) {
        return fmt::format("The VMCS is not compared: {}\n",
                           first ? second.error().sentence : first.error().sentence);
    }
    return vmcs_difference(first->front(), second->front());
}

}  // namespace

bool is_run(const fs::path& folder) {
    std::error_code error;
    return fs::is_directory(folder, error) && fs::exists(folder / "summary.json", error);
}

std::string summary_difference(const Json& before, const Json& after) {
    const Json old_values = before.flatten();
    const Json new_values = after.flatten();
    std::vector<std::string> paths;
    for (const Json* values : {&old_values, &new_values}) {
        for (const auto& [path, value] : values->items()) {
            if (path != "/wall_seconds" && std::ranges::find(paths, path) == paths.end()) {
                paths.push_back(path);
            }
        }
    }
    std::string text;
    for (const std::string& path : paths) {
        const std::string old_value = value_at(old_values, path);
        const std::string new_value = value_at(new_values, path);
        if (old_value != new_value) {
            text += fmt::format("  {}: {} -> {}\n", words_of_path(path), old_value, new_value);
        }
    }
    return text;
}

std::string story_lines_difference(std::string_view before, std::string_view after) {
    const Lines old_lines = story_lines(before);
    const Lines new_lines = story_lines(after);
    constexpr std::size_t most_pairs = 16 << 20;
    if (old_lines.size() * new_lines.size() > most_pairs) {
        return old_lines == new_lines
                   ? ""
                   : fmt::format("  they have {} and {} lines: too many to compare line by line\n",
                                 old_lines.size(), new_lines.size());
    }
    const CommonLengths common{old_lines, new_lines};
    std::string text;
    std::size_t i = 0;
    std::size_t j = 0;
    while (i < old_lines.size() || j < new_lines.size()) {
        if (i < old_lines.size() && j < new_lines.size() && old_lines[i] == new_lines[j]) {
            ++i;
            ++j;
        } else if (j == new_lines.size() ||
                   (i < old_lines.size() && common.at(i + 1, j) >= common.at(i, j + 1))) {
            text += fmt::format("- {}\n", old_lines[i++]);
        } else {
            text += fmt::format("+ {}\n", new_lines[j++]);
        }
    }
    return text;
}

ExitStatus diff_runs(const DiffOptions& options) {
    const fs::path before{options.before};
    const fs::path after{options.after};
    const auto old_summary = summary_of(before);
    const auto new_summary = summary_of(after);
    if (!old_summary || !new_summary) {
        fmt::print(stderr, "playground: {}/summary.json cannot be read as JSON\n",
                   old_summary ? options.after : options.before);
        return ExitStatus::failed;
    }
    const auto section = [](std::string_view title, const std::string& text) {
        fmt::print("{}{}\n{}", title, text.empty() ? ": the same" : ":", text);
    };
    section("Summary", summary_difference(*old_summary, *new_summary));
    section("Story", story_lines_difference(read_text(before / "story.txt").value_or(""),
                                            read_text(after / "story.txt").value_or("")));
    section("VMCS at the first entry", entry_difference(before, after));
    return ExitStatus::passed;
}

}  // namespace hvp::tool
