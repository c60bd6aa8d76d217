// Runs other programs, with their output captured.
#pragma once

#include <expected>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace hvp::tool {

struct Command {
    std::vector<std::string> arguments;  ///< the first one is looked up in PATH
    std::filesystem::path folder;        ///< in which it runs; empty: ours
    std::vector<std::pair<std::string, std::string>> environment = {};  ///< in addition to ours
};

struct Captured {
    int status = 0;      ///< exit status; 128 + number when a signal ended it
    std::string output;  ///< standard output, and standard error where asked
};

/// Runs a program to its end with its standard output captured; its standard error is dropped, or
/// captured too.
///
/// Returns  the error number when it could not be started.
[[nodiscard]] std::expected<Captured, int> capture(const Command& command, bool errors_too = false);

}  // namespace hvp::tool
