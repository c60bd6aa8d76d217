// Foreign text for a terminal.
#pragma once

#include <string>
#include <string_view>

namespace hvp::tool {

/// Returns  the text with every control character as `\x1b`: what comes from a file must not move the
///          cursor, change colours or the window's title
[[nodiscard]] std::string visible(std::string_view text);

}  // namespace hvp::tool
