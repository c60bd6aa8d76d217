#include "tests/lab/executed_page.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <iterator>
#include <regex>
#include <sstream>

#include "tests/lab/places.hpp"
#include "tool/base/text.hpp"

namespace hvp::tests {
namespace {

namespace fs = std::filesystem;

using Lines = std::vector<std::string>;

constexpr std::string_view command_mark = "$ ./playground ";
/// What a stage is made of. The rest of a repository is not changed by anybody.
constexpr std::array copied{"hypervisor", "stages"};

Lines lines_of(const std::string& text) {
    Lines lines;
    std::istringstream in{text};
    for (std::string line; std::getline(in, line);) {
        lines.push_back(line);
    }
    return lines;
}

/// What a printed line says but for its numbers and its layout.
std::string without_numbers(const std::string& line) {
    static const std::regex number{"(0x)?[0-9a-f]*[0-9][0-9a-f]*( [0-9]{3})*"};
    static const std::regex spaces{" +"};
    const std::string text = std::regex_replace(std::regex_replace(line, number, "#"), spaces, " ");
    return std::string{tool::trimmed(text)};
}

/// What is shown, in parts that stand together: between two of them a line `...` stands for any.
std::vector<Lines> parts_of(const Lines& shown) {
    std::vector<Lines> parts(1);
    for (const std::string& line : shown) {
        if (tool::trimmed(line) == "...") {
            parts.emplace_back();
        } else {
            parts.back().push_back(without_numbers(line));
        }
    }
    return parts;
}

/// Whether the lines are printed in this order, without others between them but where `...` is.
void expect_printed(const Lines& shown, const std::string& output, const std::string& command) {
    Lines printed = lines_of(output);
    std::ranges::transform(printed, printed.begin(), without_numbers);
    const std::vector<Lines> parts = parts_of(shown);
    auto next = printed.begin();
    for (std::size_t i = 0; i < parts.size(); ++i) {
        const auto found =
            i == 0 ? next
            : i + 1 == parts.size()
                ? printed.end() - std::ssize(parts[i])
                : std::ranges::search(next, printed.end(), parts[i].begin(), parts[i].end())
                      .begin();
        ASSERT_TRUE(found >= next && printed.end() - found >= std::ssize(parts[i]) &&
                    std::equal(parts[i].begin(), parts[i].end(), found))
            << command << " does not print, in its place:\n"
            << fmt::format("{}\n", fmt::join(parts[i], "\n")) << "but\n"
            << output;
        next = found + std::ssize(parts[i]);
    }
    EXPECT_TRUE(parts.size() > 1 || next == printed.end()) << command << " prints more\n" << output;
}

}  // namespace

RepositoryCopy::RepositoryCopy() {
    playground_.use_copy_of_program();
    for (const char* part : {"CMakeLists.txt", "cmake", "platform"}) {
        fs::create_symlink(source_folder() / part, file(part));
    }
    for (const char* part : copied) {
        fs::copy(source_folder() / part, file(part), fs::copy_options::recursive);
    }
    for (const char* program : {"ntoskrnl.exe", "ntoskrnl.pdb", "rom.bin"}) {
        if (fs::exists(kernel_file().parent_path() / program)) {
            fs::create_symlink(kernel_file().parent_path() / program, build() / "bin" / program);
        }
    }
}

Answer RepositoryCopy::operator()(const std::vector<std::string>& arguments) {
    if (arguments.at(0) == "run") {
        build_stage(arguments.at(1));
    }
    return playground_(arguments);
}

std::vector<std::pair<std::string, std::string>> RepositoryCopy::sources() const {
    std::vector<std::pair<std::string, std::string>> sources;
    for (const char* part : copied) {
        for (const auto& entry : fs::recursive_directory_iterator{file(part)}) {
            if (entry.is_regular_file()) {
                sources.emplace_back(entry.path().string(), content(entry.path()));
            }
        }
    }
    std::ranges::sort(sources);
    return sources;
}

// An exercise may leave something without a use: for a reader that is a warning.
void RepositoryCopy::build_stage(const std::string& stage) const {
    const std::string command = fmt::format(
        "exec 2>&1; unset HVP_STRICT; cmake -S '{0}' -B '{1}' -G Ninja "
        "-DCMAKE_BUILD_TYPE=RelWithDebInfo "
        "-DCMAKE_CXX_COMPILER=clang++-19 -DCMAKE_ASM_COMPILER=clang-19 "
        "-DCMAKE_CXX_COMPILER_LAUNCHER='{2}' && ninja -C '{1}' '{3}_driver'",
        playground_.folder().string(), build().string(), HVP_COMPILER_LAUNCHER, stage);
    std::string said;
    std::FILE* const shell = popen(command.c_str(), "r");
    ASSERT_NE(shell, nullptr);
    std::array<char, 4096> part{};
    while (const std::size_t read = std::fread(part.data(), 1, part.size(), shell)) {
        said.append(part.data(), read);
    }
    ASSERT_EQ(pclose(shell), 0) << said;
}

bool is_command(const tool::Block& block) {
    return block.language.empty() && !block.lines.empty() &&
           block.lines.front().starts_with(command_mark);
}

std::vector<int> execute(const tool::Block& block, RepositoryCopy& copy) {
    std::vector<int> statuses;
    for (std::size_t i = 0; i < block.lines.size();) {
        const std::string command = block.lines[i].substr(command_mark.size());
        std::istringstream words{command};
        const Lines arguments{std::istream_iterator<std::string>{words}, {}};
        Lines shown;
        while (++i < block.lines.size() && !block.lines[i].starts_with(command_mark)) {
            shown.push_back(block.lines[i]);
        }
        const Answer answer = copy(arguments);
        expect_printed(shown, answer.output + answer.errors, command);
        statuses.push_back(answer.status);
    }
    return statuses;
}

}  // namespace hvp::tests
