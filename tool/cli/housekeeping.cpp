#include "tool/cli/housekeeping.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <fstream>

namespace hvp::tool {
namespace {

namespace fs = std::filesystem;

// A chapter's first heading says what the stage is, after the stage's name; without a chapter there
// is nothing to say.
std::string description(const fs::path& stage) {
    std::ifstream chapter{stage / "README.md"};
    std::string line;
    while (std::getline(chapter, line)) {
        const std::size_t start = line.find_first_not_of("# ");
        if (start != std::string::npos) {
            const std::string name = stage.filename().string() + ": ";
            line.erase(0, start);
            return line.starts_with(name) ? line.substr(name.size()) : line;
        }
    }
    return {};
}

}  // namespace

ExitStatus list(const Repository& repository) {
    const std::vector<std::string> stages = repository.stages();
    std::size_t widest = 0;
    for (const std::string& stage : stages) {
        widest = std::max(widest, stage.size());
    }
    for (const std::string& stage : stages) {
        fmt::print("{:<{}}  {}\n", stage, widest, description(repository.stage(stage)));
    }
    return ExitStatus::passed;
}

ExitStatus clean(const Repository& repository) {
    for (const char* name : {"build", "runs"}) {
        const fs::path folder = repository.root / name;
        std::error_code error;
        const auto count = fs::remove_all(folder, error);
        if (error) {
            fmt::print(stderr, "playground: cannot remove {}: {}\n", folder.string(),
                       error.message());
            return ExitStatus::failed;
        }
        fmt::print(
            "{}/: {}\n", name,
            count == 0 ? "was not there" : fmt::format("{} files and folders removed", count));
    }
    return ExitStatus::passed;
}

}  // namespace hvp::tool
