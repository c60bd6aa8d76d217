#include "tool/base/line_edits.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace hvp::tool {
namespace {

constexpr std::string_view file_mark = "--- ";
constexpr std::string_view next_place = "@@";

/// The lines that a part finds, and those that it leaves in their place.
struct Sides {
    std::string before;
    std::string after;
};

Sides sides_of(const std::vector<std::string>& part) {
    Sides sides;
    for (const std::string& line : part) {
        const std::string rest = line.empty() ? "" : line.substr(1);
        sides.before += line.starts_with('+') ? "" : rest + "\n";
        sides.after += line.starts_with('-') ? "" : rest + "\n";
    }
    return sides;
}

std::string first_line(const std::string& lines) {
    return lines.substr(0, lines.find('\n'));
}

}  // namespace

std::expected<FileEdit, std::string> read_edit(const std::vector<std::string>& block) {
    if (block.empty() || !block.front().starts_with(file_mark)) {
        return std::unexpected{std::string{"an edit begins with a line `--- FILE`"}};
    }
    FileEdit edit{.file = block.front().substr(file_mark.size()), .parts = {{}}};
    for (std::size_t i = 1; i < block.size(); ++i) {
        if (block[i] == next_place) {
            edit.parts.emplace_back();
        } else {
            edit.parts.back().push_back(block[i]);
        }
    }
    const bool changes_nothing = std::ranges::any_of(edit.parts, [](const auto& part) {
        const Sides sides = sides_of(part);
        return sides.before == sides.after;
    });
    if (changes_nothing) {
        return std::unexpected{edit.file + ": a part of the edit changes nothing"};
    }
    return edit;
}

FileEdit reversed(FileEdit edit) {
    for (auto& part : edit.parts) {
        for (std::string& line : part) {
            if (line.starts_with('+')) {
                line.front() = '-';
            } else if (line.starts_with('-')) {
                line.front() = '+';
            }
        }
    }
    return edit;
}

std::expected<std::string, std::string> edited(std::string text, const FileEdit& edit) {
    for (const auto& part : edit.parts) {
        const Sides sides = sides_of(part);
        // A new file has no lines: everything is added to it.
        const std::size_t place = ("\n" + text).find("\n" + sides.before);
        if (place == std::string::npos) {
            return std::unexpected{
                fmt::format("{} has no such lines as \"{}\"", edit.file, first_line(sides.before))};
        }
        if (!text.empty() &&
            ("\n" + text).find("\n" + sides.before, place + 1) != std::string::npos) {
            return std::unexpected{fmt::format("{} has the lines \"{}\" more than once", edit.file,
                                               first_line(sides.before))};
        }
        text.replace(place, sides.before.size(), sides.after);
    }
    return text;
}

std::size_t added_lines(const FileEdit& edit) {
    std::size_t added = 0;
    for (const auto& part : edit.parts) {
        added += static_cast<std::size_t>(
            std::ranges::count_if(part, [](const auto& line) { return line.starts_with('+'); }));
    }
    return added;
}

}  // namespace hvp::tool
