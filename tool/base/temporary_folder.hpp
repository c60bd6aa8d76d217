// A folder that is gone when its owner goes.
#pragma once

#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>
#include <string_view>

namespace hvp::tool {

class TemporaryFolder {
public:
    explicit TemporaryFolder(std::string_view name)
        : path_{std::filesystem::temp_directory_path() / fmt::format("hvp-{}-{}", name, getpid())} {
        std::filesystem::create_directories(path_);
    }
    TemporaryFolder(const TemporaryFolder&) = delete;
    TemporaryFolder& operator=(const TemporaryFolder&) = delete;
    ~TemporaryFolder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    [[nodiscard]] const std::filesystem::path& path() const { return path_; }

private:
    std::filesystem::path path_;
};

}  // namespace hvp::tool
