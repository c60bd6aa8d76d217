#include "tool/base/chapter.hpp"

#include <optional>
#include <regex>

#include "tool/base/text.hpp"

namespace hvp::tool {
namespace {

constexpr std::string_view fence = "```";

/// Takes a page line by line and keeps the blocks that come to an end.
class BlockReader {
public:
    /// Returns  whether the line belongs to a block, which it may begin or end.
    bool take(std::string_view line, std::vector<Block>& blocks) {
        const std::string_view text = trimmed(line);
        if (block_ && text == fence) {
            blocks.push_back(*block_);
            block_.reset();
        } else if (block_) {
            const std::size_t indentation = std::min(indentation_, line.find_first_not_of(' '));
            block_->lines.emplace_back(line.substr(std::min(indentation, line.size())));
        } else if (text.starts_with(fence)) {
            indentation_ = line.find(fence);
            block_ = {.language = std::string{text.substr(fence.size())}, .lines = {}};
        } else {
            return false;
        }
        return true;
    }

private:
    std::optional<Block> block_;
    std::size_t indentation_ = 0;
};

}  // namespace

std::vector<Block> blocks_of(std::string_view page) {
    std::vector<Block> blocks;
    BlockReader reader;
    while (!page.empty()) {
        reader.take(take_line(page), blocks);
    }
    return blocks;
}

std::vector<Exercise> exercises_of(std::string_view page) {
    static const std::regex item{R"(^(?:\d+\.|-) \*\*(.+)\*\* \(`([a-z0-9-]+)`\).*)"};
    std::vector<Exercise> exercises;
    std::vector<Block> others;
    BlockReader reader;
    bool inside = false;
    while (!page.empty()) {
        const std::string line{take_line(page)};
        std::smatch found;
        if (reader.take(line, inside ? exercises.back().blocks : others)) {
            continue;
        }
        // An item's text is indented; what begins in the first column ends the exercise.
        if (!line.empty() && line.front() != ' ') {
            inside = std::regex_match(line, found, item);
        }
        if (!found.empty()) {
            exercises.push_back({.name = found[2], .title = found[1], .blocks = {}});
        }
    }
    return exercises;
}

}  // namespace hvp::tool
