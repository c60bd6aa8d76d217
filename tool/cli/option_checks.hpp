// Checks of what is typed behind an option, which the library that reads options does not make.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>

namespace hvp::tool {

/// A whole number from `least` to `most`, decimal or with 0x. Without this check, -1 would be the
/// largest number, one that is too large as well, and nothing at all would be 0.
[[nodiscard]] CLI::Validator whole_number(std::uint64_t least, std::uint64_t most);

/// Lets no option and no argument of `app` and its commands be an empty word: none of ours has a
/// use for it, and it comes from a script's variable that is not set.
void refuse_empty_words(CLI::App& app);

}  // namespace hvp::tool
