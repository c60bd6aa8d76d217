// The chapters' quotations are in the sources and in the stories of runs.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <map>
#include <regex>
#include <sstream>
#include <utility>
#include <vector>

#include "tests/repository/sources.hpp"
#include "tool/story/story_match.hpp"

namespace hvp::repository {
namespace {

std::string trimmed(const std::string& line) {
    const auto first = line.find_first_not_of(" \t+");
    return first == std::string::npos ? "" : line.substr(first);
}

std::vector<std::string> lines_of(const std::string& text) {
    std::vector<std::string> lines;
    std::istringstream in{text};
    for (std::string line; std::getline(in, line);) {
        lines.push_back(line);
    }
    return lines;
}

/// The lines inside ```LANGUAGE blocks, trimmed.
std::vector<std::vector<std::string>> blocks(const std::string& page, const std::string& language) {
    std::vector<std::vector<std::string>> found;
    bool inside = false;
    bool wanted = false;
    for (const std::string& line : lines_of(page)) {
        if (trimmed(line).starts_with("```")) {
            wanted = !inside && trimmed(line) == "```" + language;
            inside = !inside;
            if (wanted) {
                found.emplace_back();
            }
        } else if (inside && wanted) {
            found.back().push_back(line);
        }
    }
    return found;
}

// A block of C++ is somewhere in the sources, line by line, with any indentation.
TEST(Chapters, QuoteTheSource) {
    std::string everything = "\n";
    for (const SourceFile& file :
         files_below({"hypervisor", "platform", "stages"}, {".hpp", ".cpp"})) {
        for (const std::string& line : lines_of(file.text)) {
            everything += trimmed(line) + "\n";
        }
    }
    std::size_t quotes = 0;
    for (const SourceFile& page : files_below({"stages", "docs"}, {".md"})) {
        for (const auto& block : blocks(page.text, "cpp")) {
            EXPECT_LE(block.size(), 10U) << page.path;
            std::string quoted = "\n";
            for (const std::string& line : block) {
                quoted += trimmed(line) + "\n";
            }
            EXPECT_THAT(everything, testing::HasSubstr(quoted)) << page.path;
            ++quotes;
        }
    }
    EXPECT_GT(quotes, 0U);
}

/// The steps of `./playground run STAGE` that a page shows.
struct ShownStory {
    std::map<std::size_t, std::string> steps;  ///< `who text aside`, by their numbers
    bool leaves_out = false;                   ///< a line `...` stands for steps
};

ShownStory story_shown(const std::string& page, const std::string& stage) {
    static const std::string indent(17, ' ');
    static const std::regex first_line{R"(^ *(\d+)  (\S.*)$)"};
    ShownStory shown;
    for (const auto& block : blocks(read_file(page), "")) {
        if (block.empty() || block.front() != fmt::format("$ ./playground run {}", stage)) {
            continue;
        }
        std::string* step = nullptr;
        for (const std::string& line : block) {
            if (std::smatch match; std::regex_match(line, match, first_line)) {
                step = &shown.steps[std::stoul(match[1])];
                *step = match[2];
            } else if (step != nullptr && line.starts_with(indent)) {
                *step += " " + line;
            }
            shown.leaves_out |= trimmed(line) == "...";
        }
    }
    return shown;
}

// The story on the first page and in each chapter matches the stage's story.txt.
TEST(Chapters, TellTheStoryOfTheRun) {
    std::vector<std::pair<std::string, std::string>> pages{{"README.md", "launch"}};
    for (const SourceFile& story : files_below({"stages"}, {"story.txt"})) {
        const auto folder = std::filesystem::path{story.path}.parent_path();
        pages.emplace_back((folder / "README.md").string(), folder.filename().string());
    }
    EXPECT_GT(pages.size(), 5U);
    for (const auto& [page, stage] : pages) {
        const auto expected = lines_of(read_file(fmt::format("stages/{}/story.txt", stage)));
        const auto [steps, leaves_out] = story_shown(page, stage);
        EXPECT_GT(steps.size(), 10U) << page;
        EXPECT_TRUE(leaves_out || steps.size() == expected.size()) << page;
        for (const auto& [number, step] : steps) {
            ASSERT_LT(number, expected.size()) << page;
            EXPECT_EQ(tool::story_difference(expected[number], std::array{step}, 1), "") << page;
        }
    }
}

}  // namespace
}  // namespace hvp::repository
