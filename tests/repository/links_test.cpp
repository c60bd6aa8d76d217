// Every relative link in the pages, and every anchor in one, leads somewhere.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cctype>
#include <filesystem>
#include <regex>
#include <set>
#include <sstream>

#include "tests/repository/sources.hpp"

namespace hvp::repository {
namespace {

/// The pages: at the top, and below each folder that is not hidden, a build folder, or runs/.
std::vector<SourceFile> pages() {
    std::vector<std::string> folders;
    std::vector<SourceFile> found;
    for (const auto& entry : std::filesystem::directory_iterator{repository_root()}) {
        const std::string name = entry.path().filename().string();
        if (entry.is_directory() && !name.starts_with('.') && name != "runs" &&
            !std::filesystem::exists(entry.path() / "CMakeCache.txt")) {
            folders.push_back(name);
        } else if (entry.is_regular_file() && name.ends_with(".md")) {
            found.push_back({.path = name, .text = read_file(name)});
        }
    }
    for (const SourceFile& page : files_below(folders, {".md"})) {
        found.push_back(page);
    }
    return found;
}

/// The page without its blocks of code.
std::string prose_of(const std::string& page) {
    std::string prose;
    bool in_code = false;
    std::istringstream lines{page};
    for (std::string line; std::getline(lines, line);) {
        const std::size_t first = line.find_first_not_of(' ');
        if (first != std::string::npos && line.compare(first, 3, "```") == 0) {
            in_code = !in_code;
        } else if (!in_code) {
            prose += line + "\n";
        }
    }
    return prose;
}

/// The anchor that GitHub gives a heading: lower case, hyphens for spaces, no punctuation.
std::string anchor_of(const std::string& heading) {
    std::string anchor;
    for (const char letter : heading) {
        const auto byte = static_cast<unsigned char>(letter);
        if (std::isalnum(byte) != 0 || letter == '-' || letter == '_' || byte >= 0x80) {
            anchor += static_cast<char>(std::tolower(byte));
        } else if (letter == ' ') {
            anchor += '-';
        }
    }
    return anchor;
}

std::set<std::string> anchors_in(const std::string& page) {
    static const std::regex named{R"re(<a id="([^"]+)">)re"};
    std::set<std::string> anchors;
    const std::string prose = prose_of(page);
    for (std::sregex_iterator it{prose.begin(), prose.end(), named}, end; it != end; ++it) {
        anchors.insert((*it)[1].str());
    }
    std::istringstream lines{prose};
    for (std::string line; std::getline(lines, line);) {
        const std::size_t text = line.find_first_not_of('#');
        if (line.starts_with('#') && text != std::string::npos && line[text] == ' ') {
            anchors.insert(anchor_of(line.substr(text + 1)));
        }
    }
    return anchors;
}

/// The targets of the links and pictures in a page, without those on the web.
std::vector<std::string> relative_links(const std::string& page) {
    static const std::regex link{R"re(\]\(([^)\s]+)\)|\s(?:src|srcset|href)="([^"]+)")re"};
    static const std::regex on_the_web{R"(^[a-z]+:.*)"};
    std::vector<std::string> targets;
    const std::string prose = prose_of(page);
    for (std::sregex_iterator it{prose.begin(), prose.end(), link}, end; it != end; ++it) {
        const std::string target = (*it)[1].matched ? (*it)[1].str() : (*it)[2].str();
        if (!std::regex_match(target, on_the_web)) {
            targets.push_back(target);
        }
    }
    return targets;
}

/// Returns  what is wrong with a link in this page, or nothing
std::string problem_with(const std::string& target, const SourceFile& page) {
    const std::size_t mark = target.find('#');
    const std::string file = target.substr(0, mark);
    const auto path = std::filesystem::path{page.path}.parent_path() / file;
    if (!file.empty() && !std::filesystem::exists(repository_root() / path)) {
        return target + ": no such file";
    }
    if (mark == std::string::npos) {
        return {};
    }
    const std::string text = file.empty() ? page.text : read_file(path.string());
    return anchors_in(text).contains(target.substr(mark + 1)) ? "" : target + ": no such heading";
}

TEST(Links, LeadToFilesAndHeadings) {
    std::size_t links = 0;
    for (const SourceFile& page : pages()) {
        for (const std::string& target : relative_links(page.text)) {
            EXPECT_EQ(problem_with(target, page), "") << page.path;
            ++links;
        }
    }
    EXPECT_GT(links, 0U);
}

TEST(Links, ThatLeadNowhereAreFound) {
    const SourceFile page{.path = "docs/page.md",
                          .text =
                              "# A heading, with `code`\n"
                              "[good](../README.md) [good](#a-heading-with-code)\n"
                              "[gone](gone.md) [gone](#gone) <img src=\"gone.svg\">\n"
                              "[elsewhere](https://example.org/gone.md)\n"
                              "```\n[in code](not-a-link.md)\n```\n"};
    std::vector<std::string> problems;
    for (const std::string& target : relative_links(page.text)) {
        if (const std::string problem = problem_with(target, page); !problem.empty()) {
            problems.push_back(problem);
        }
    }
    EXPECT_THAT(problems, testing::ElementsAre("gone.md: no such file", "#gone: no such heading",
                                               "gone.svg: no such file"));
}

}  // namespace
}  // namespace hvp::repository
