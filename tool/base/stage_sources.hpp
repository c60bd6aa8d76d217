// What a stage is made of: its own files in the order of reading, and the pieces that it uses.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "tool/base/repository.hpp"

namespace hvp::tool {

/// Returns  the names of the stage's sources: driver.cpp, then its guest, then the rest; a header
///          before its source
[[nodiscard]] std::vector<std::string> stage_sources(const std::filesystem::path& stage);

/// Returns  the headers outside the stage that it includes, directly and through others, as paths
///          in the repository; what is met first comes first. Where a header has a source with
///          the same name, the stage also uses what that includes.
[[nodiscard]] std::vector<std::string> used_pieces(const Repository& repository,
                                                   const std::string& stage);

/// Whether the name is one of those.
[[nodiscard]] bool is_among(const std::vector<std::string>& names, const std::string& name);

/// Returns  the sentence that a source opens with
[[nodiscard]] std::string opening_sentence(const std::filesystem::path& source);

}  // namespace hvp::tool
