// The folder of one run: `runs/<UTC time>-<stage>/`, and `runs/latest` that points to the newest.
#pragma once

#include <expected>
#include <filesystem>
#include <string>

namespace hvp::tool {

class RunFolder {
public:
    /// Makes a new folder; two runs in the same second get two folders.
    [[nodiscard]] static std::expected<RunFolder, std::string> create(
        const std::filesystem::path& runs, const std::string& name);

    [[nodiscard]] const std::filesystem::path& path() const { return path_; }
    /// The emulator's own files: its configuration, its memory image.
    [[nodiscard]] std::filesystem::path work() const { return path_ / "work"; }
    /// Lets `latest` point here, in one step.
    void become_latest() const;
    /// Removes the emulator's own files.
    void remove_work() const;

private:
    explicit RunFolder(std::filesystem::path path) : path_{std::move(path)} {}

    std::filesystem::path path_;
};

}  // namespace hvp::tool
