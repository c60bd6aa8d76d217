#include "tool/base/repository.hpp"

#include <algorithm>
#include <cstdlib>
#include <fstream>

#include "tool/base/files.hpp"

namespace hvp::tool {

namespace fs = std::filesystem;

fs::path Repository::runs() const {
    // Absolute: the emulator runs in a folder of its own.
    const char* elsewhere = std::getenv("HVP_RUNS");
    return elsewhere != nullptr && *elsewhere != '\0' ? absolute_path(elsewhere) : root / "runs";
}

std::vector<std::string> Repository::stages() const {
    std::vector<std::string> names;
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator{root / "stages", ignored}) {
        if (fs::exists(entry.path() / "driver.cpp", ignored)) {
            names.push_back(entry.path().filename().string());
        }
    }
    std::ranges::sort(names);
    auto rest = names.begin();
    std::ifstream order{root / "stages" / "order"};
    for (std::string name; std::getline(order, name);) {
        const auto found = std::find(rest, names.end(), name);
        if (found != names.end()) {
            rest = std::rotate(rest, found, found + 1);
        }
    }
    return names;
}

Repository Repository::of_this_program() {
    std::error_code error;
    const fs::path program = fs::read_symlink("/proc/self/exe", error);
    const fs::path build = program.parent_path().parent_path();
    return {.root = build.parent_path(), .build = build};
}

}  // namespace hvp::tool
