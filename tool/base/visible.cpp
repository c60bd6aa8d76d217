#include "tool/base/visible.hpp"

#include <fmt/format.h>

namespace hvp::tool {

std::string visible(std::string_view text) {
    constexpr unsigned char first_printable = 0x20;
    constexpr unsigned char rubout = 0x7F;
    std::string shown;
    for (std::size_t at = 0; at < text.size(); ++at) {
        const auto byte = static_cast<unsigned char>(text[at]);
        // C1 controls are two bytes in UTF-8.
        const bool is_c1 =
            byte == 0xC2 && at + 1 < text.size() && static_cast<unsigned char>(text[at + 1]) < 0xA0;
        if (is_c1) {
            shown += fmt::format("\\x{:02x}", static_cast<unsigned char>(text[++at]));
        } else if (byte < first_printable || byte == rubout) {
            shown += fmt::format("\\x{:02x}", byte);
        } else {
            shown += text[at];
        }
    }
    return shown;
}

}  // namespace hvp::tool
