// The repository's own files, for tests of rules about all of them.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace hvp::repository {

struct SourceFile {
    std::string path;  ///< relative to the repository
    std::string text;
};

const std::filesystem::path& repository_root();

/// Every file below `folders` whose name ends in one of `endings`, sorted by path.
std::vector<SourceFile> files_below(const std::vector<std::string>& folders,
                                    const std::vector<std::string>& endings);

/// The text of one file; `path` is relative to the repository.
std::string read_file(const std::string& path);

/// The line, counted from 1, in which `offset` lies.
std::size_t line_of(const std::string& text, std::size_t offset);

}  // namespace hvp::repository
