// For tests of the documentation: a copy of the repository, in which the commands and the edits of
// a page are executed, and what the page says that they print.
//
// A block that begins with `$ ./playground …` is a command and the lines that it prints, in which a
// line `...` stands for any lines; numbers may differ, as they depend on where code lies. A block
// of the language `diff` is an edit (tool/base/line_edits.hpp).
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "tests/lab/playground.hpp"
#include "tool/base/chapter.hpp"

namespace hvp::tests {

/// A copy of what a stage is built from, with the program and the machine of this build.
class RepositoryCopy {
public:
    RepositoryCopy();

    /// What `./playground ARGUMENTS` answers. The script builds the stage first, and so does this:
    /// the rest of what it would build is this build's.
    [[nodiscard]] Answer operator()(const std::vector<std::string>& arguments);

    [[nodiscard]] std::filesystem::path file(const std::string& name) const {
        return playground_.folder() / name;
    }
    /// Returns  the sources, by their names.
    [[nodiscard]] std::vector<std::pair<std::string, std::string>> sources() const;

private:
    [[nodiscard]] std::filesystem::path build() const { return playground_.folder() / "build"; }
    void build_stage(const std::string& stage) const;

    Playground playground_;
};

[[nodiscard]] bool is_command(const tool::Block& block);

/// Executes the block's commands; fails the test where one prints what the block does not show.
///
/// Needs    `is_command`
/// Returns  the exit statuses
std::vector<int> execute(const tool::Block& block, RepositoryCopy& copy);

}  // namespace hvp::tests
