// docs/your-own-stage.md, executed: its commands and its edits, in a copy of the repository, and
// what it says that the commands print.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/lab/executed_page.hpp"
#include "tests/lab/places.hpp"
#include "tool/base/files.hpp"
#include "tool/base/line_edits.hpp"

namespace hvp::tests {
namespace {

/// Returns  how many lines the edit adds.
std::size_t edit(const tool::Block& block, const RepositoryCopy& copy) {
    const auto edit = tool::read_edit(block.lines);
    if (!edit) {
        ADD_FAILURE() << edit.error();
        return 0;
    }
    const auto after = tool::edited(content(copy.file(edit->file)), *edit);
    if (!after || !tool::write_file(copy.file(edit->file), *after)) {
        ADD_FAILURE() << edit->file << ": " << (after ? "cannot be written" : after.error());
        return 0;
    }
    return tool::added_lines(*edit);
}

TEST(YourOwnStage, ThePageDoesWhatItSays) {
    constexpr std::size_t most_lines = 39;
    RepositoryCopy copy;
    std::size_t added = 0;
    std::size_t commands = 0;
    for (const tool::Block& block :
         tool::blocks_of(content(source_folder() / "docs/your-own-stage.md"))) {
        if (block.language == "diff") {
            added += edit(block, copy);
        } else if (is_command(block)) {
            EXPECT_THAT(execute(block, copy), testing::Each(0)) << block.lines.front();
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
