// Edits as a page shows them: lines of a file with a blank, `-` or `+` in front.
//
//     --- stages/launch/driver.cpp
//      a line that stays
//     -a line that goes
//     +a line that comes
//     @@
//      the next place in the same file
#pragma once

#include <cstddef>
#include <expected>
#include <string>
#include <vector>

namespace hvp::tool {

/// The edits of one file.
struct FileEdit {
    std::string file;  ///< relative to the repository
    std::vector<std::vector<std::string>> parts;
};

/// Reads a block of lines as above.  Returns  why it is no edit, as a sentence
[[nodiscard]] std::expected<FileEdit, std::string> read_edit(const std::vector<std::string>& block);

/// Returns  the same edit backwards: what it adds goes, what it removes comes back.
[[nodiscard]] FileEdit reversed(FileEdit edit);

/// Returns  the text with all parts changed, each in the one place that has its lines; or why that
///          cannot be, as a sentence
[[nodiscard]] std::expected<std::string, std::string> edited(std::string text,
                                                             const FileEdit& edit);

/// Returns  how many lines the edit adds.
[[nodiscard]] std::size_t added_lines(const FileEdit& edit);

}  // namespace hvp::tool
