// Files that are read or written whole or bit by bit; whatever goes wrong becomes one sentence.
#pragma once

#include <cstddef>
#include <expected>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "lab/machine/pseudo_terminal.hpp"

namespace hvp::tool {

[[nodiscard]] std::expected<std::vector<std::byte>, std::string> read_bytes(
    const std::filesystem::path& path);

[[nodiscard]] std::expected<std::string, std::string> read_text(const std::filesystem::path& path);

[[nodiscard]] std::expected<std::string, std::string> read_standard_input();

/// Returns  the path from the root; as it is, where the current folder has been removed
[[nodiscard]] std::filesystem::path absolute_path(const std::filesystem::path& path);

/// A file that grows while the machine runs.
class OutputFile {
public:
    [[nodiscard]] static std::expected<OutputFile, std::string> create(
        const std::filesystem::path& path);

    /// Keeps the first error: after it nothing more is written.
    void write(std::string_view bytes);
    /// Writes what is left.  Returns  the first error of the file's whole life, or an empty string.
    [[nodiscard]] std::string close();
    [[nodiscard]] const std::string& error() const { return error_; }

private:
    OutputFile(std::filesystem::path path, lab::Descriptor file);
    void flush();

    std::filesystem::path path_;
    lab::Descriptor file_;
    std::string buffer_;
    std::string error_;
};

[[nodiscard]] std::expected<void, std::string> write_file(const std::filesystem::path& path,
                                                          std::string_view content);

}  // namespace hvp::tool
