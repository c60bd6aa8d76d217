#include "tests/repository/sources.hpp"

#include <algorithm>
#include <fstream>
#include <iterator>

namespace hvp::repository {
namespace {

// The only object file that contains the repository's path.
const std::filesystem::path root{HVP_SOURCE_DIR};

std::string read_all(const std::filesystem::path& path) {
    std::ifstream in{path, std::ios::binary};
    return {std::istreambuf_iterator<char>{in}, {}};
}

}  // namespace

const std::filesystem::path& repository_root() {
    return root;
}

std::string read_file(const std::string& path) {
    return read_all(root / path);
}

std::vector<SourceFile> files_below(const std::vector<std::string>& folders,
                                    const std::vector<std::string>& endings) {
    std::vector<SourceFile> files;
    for (const std::string& folder : folders) {
        for (const auto& entry : std::filesystem::recursive_directory_iterator{root / folder}) {
            const std::string name = entry.path().filename().string();
            const bool wanted = std::ranges::any_of(
                endings, [&](const std::string& ending) { return name.ends_with(ending); });
            if (entry.is_regular_file() && wanted) {
                files.push_back({.path = std::filesystem::relative(entry.path(), root).string(),
                                 .text = read_all(entry.path())});
            }
        }
    }
    std::ranges::sort(files, {}, &SourceFile::path);
    return files;
}

std::size_t line_of(const std::string& text, std::size_t offset) {
    return 1 + static_cast<std::size_t>(std::count(
                   text.begin(), text.begin() + static_cast<std::ptrdiff_t>(offset), '\n'));
}

}  // namespace hvp::repository
