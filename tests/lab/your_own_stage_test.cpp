// docs/your-own-stage.md, executed: its commands and its edits, in a copy of the repository, and
// what it says that the commands print.
//
// A block that begins with `$ COMMAND` is a command and the lines that it prints, in which a line
// `...` stands for any lines; numbers may differ, as they depend on where code lies. A block of the
// language `diff` is an edit: `--- FILE`, then parts, separated by lines `@@`, each of which is
// unique in the file.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <regex>
#include <sstream>

#include "tests/lab/places.hpp"
#include "tests/lab/playground.hpp"

namespace hvp::tests {
namespace {

namespace fs = std::filesystem;

using Lines = std::vector<std::string>;

Lines lines_of(const std::string& text) {
    Lines lines;
    std::istringstream in{text};
    for (std::string line; std::getline(in, line);) {
        lines.push_back(line);
    }
    return lines;
}

struct Block {
    std::string language;
    Lines lines;
};

std::vector<Block> blocks_of(const fs::path& page) {
    std::vector<Block> blocks;
    bool inside = false;
    for (const std::string& line : lines_of(content(page))) {
        if (line.starts_with("```")) {
            if (!inside) {
                blocks.push_back({.language = line.substr(3), .lines = {}});
            }
            inside = !inside;
        } else if (inside) {
            blocks.back().lines.push_back(line);
        }
    }
    return blocks;
}

/// A copy of what a stage is built from, with the program and the machine of this build.
class Copy {
public:
    Copy() {
        playground.use_copy_of_program();
        for (const char* part : {"CMakeLists.txt", "cmake", "hypervisor", "platform"}) {
            fs::create_symlink(source_folder() / part, playground.folder() / part);
        }
        fs::copy(source_folder() / "stages", playground.folder() / "stages",
                 fs::copy_options::recursive);
        for (const char* file : {"ntoskrnl.exe", "ntoskrnl.pdb", "rom.bin"}) {
            if (fs::exists(kernel_file().parent_path() / file)) {
                fs::create_symlink(kernel_file().parent_path() / file, build() / "bin" / file);
            }
        }
    }

    /// What `./playground ARGUMENTS` prints. The script builds the stage first, and so do we: the
    /// rest of what it would build is this build's.
    std::string output_of(const Lines& arguments) {
        if (arguments.at(0) == "run") {
            build_stage(arguments.at(1));
        }
        const Answer answer = playground(arguments);
        EXPECT_EQ(answer.status, 0) << answer.output << answer.errors;
        return answer.output;
    }

    [[nodiscard]] fs::path file(const std::string& name) const {
        return playground.folder() / name;
    }

private:
    [[nodiscard]] fs::path build() const { return playground.folder() / "build"; }

    void build_stage(const std::string& stage) const {
        const std::string command = fmt::format(
            "exec 2>&1; cmake -S '{0}' -B '{1}' -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo "
            "-DCMAKE_CXX_COMPILER=clang++-19 -DCMAKE_ASM_COMPILER=clang-19 "
            "-DCMAKE_CXX_COMPILER_LAUNCHER='{2}' && ninja -C '{1}' '{3}_driver'",
            playground.folder().string(), build().string(), HVP_COMPILER_LAUNCHER, stage);
        std::string said;
        std::FILE* const shell = popen(command.c_str(), "r");
        ASSERT_NE(shell, nullptr);
        std::array<char, 4096> part{};
        while (const std::size_t read = std::fread(part.data(), 1, part.size(), shell)) {
            said.append(part.data(), read);
        }
        ASSERT_EQ(pclose(shell), 0) << said;
    }

    Playground playground;
};

/// What a printed line says but for its numbers and its layout.
std::string without_numbers(const std::string& line) {
    static const std::regex number{"(0x)?[0-9a-f]*[0-9][0-9a-f]*( [0-9]{3})*"};
    static const std::regex spaces{" +"};
    return std::regex_replace(std::regex_replace(line, number, "#"), spaces, " ");
}

/// Whether the lines are printed in this order, without others between them but where `...` is.
void expect_printed(const Lines& shown, const std::string& output, const std::string& command) {
    const Lines printed = lines_of(output);
    std::size_t next = 0;
    bool may_skip = false;
    for (const std::string& line : shown) {
        if (line.find_first_not_of(' ') != std::string::npos &&
            line.substr(line.find_first_not_of(' ')) == "...") {
            may_skip = true;
            continue;
        }
        const std::string wanted = without_numbers(line);
        while (may_skip && next < printed.size() && without_numbers(printed[next]) != wanted) {
            ++next;
        }
        ASSERT_LT(next, printed.size()) << command << " does not print: " << line << "\n" << output;
        EXPECT_EQ(without_numbers(printed[next]), wanted) << command;
        ++next;
        may_skip = false;
    }
    EXPECT_TRUE(may_skip || next == printed.size()) << command << " prints more\n" << output;
}

void execute(const Lines& block, Copy& copy) {
    const std::string mark = "$ ./playground ";
    for (std::size_t i = 0; i < block.size();) {
        ASSERT_TRUE(block[i].starts_with(mark)) << block[i];
        const std::string command = block[i].substr(mark.size());
        std::istringstream words{command};
        const Lines arguments{std::istream_iterator<std::string>{words}, {}};
        Lines shown;
        while (++i < block.size() && !block[i].starts_with("$ ")) {
            shown.push_back(block[i]);
        }
        expect_printed(shown, copy.output_of(arguments), command);
    }
}

/// Makes one part of an edit; returns how many lines it adds.
std::size_t replace_part(const Lines& part, std::string& text, const std::string& file) {
    std::string before;
    std::string after;
    std::size_t added = 0;
    for (const std::string& line : part) {
        const std::string rest = line.empty() ? "" : line.substr(1);
        before += line.starts_with('+') ? "" : rest + "\n";
        after += line.starts_with('-') ? "" : rest + "\n";
        added += line.starts_with('+') ? 1 : 0;
    }
    const std::size_t place = ("\n" + text).find("\n" + before);
    EXPECT_NE(place, std::string::npos) << file << " has no such lines:\n" << before;
    EXPECT_EQ(("\n" + text).find("\n" + before, place + 1), std::string::npos)
        << file << " has these lines more than once:\n"
        << before;
    if (place != std::string::npos) {
        text.replace(place, before.size(), after);
    }
    return added;
}

std::size_t edit(const Lines& block, const Copy& copy) {
    const std::string mark = "--- ";
    if (block.empty() || !block.front().starts_with(mark)) {
        ADD_FAILURE() << "an edit begins with --- FILE";
        return 0;
    }
    const std::string file = block.front().substr(mark.size());
    std::string text = content(copy.file(file));
    std::size_t added = 0;
    Lines part;
    for (std::size_t i = 1; i <= block.size(); ++i) {
        if (i < block.size() && block[i] != "@@") {
            part.push_back(block[i]);
            continue;
        }
        added += replace_part(part, text, file);
        part.clear();
    }
    std::ofstream{copy.file(file), std::ios::binary} << text;
    return added;
}

TEST(YourOwnStage, ThePageDoesWhatItSays) {
    constexpr std::size_t most_lines = 39;
    Copy copy;
    std::size_t added = 0;
    std::size_t commands = 0;
    for (const Block& block : blocks_of(source_folder() / "docs/your-own-stage.md")) {
        if (block.language == "diff") {
            added += edit(block.lines, copy);
        } else if (!block.lines.empty() && block.lines.front().starts_with("$ ")) {
            execute(block.lines, copy);
            ++commands;
        }
        if (HasFatalFailure()) {
            return;
        }
    }
    EXPECT_GE(commands, 3U);
    EXPECT_GT(added, 0U);
    EXPECT_LE(added, most_lines);
}

}  // namespace
}  // namespace hvp::tests
