#include "tool/base/text.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace hvp::tool {
namespace {

// How many bytes the character takes that begins the text; 0: it is not UTF-8.
std::size_t character_bytes(std::string_view text) {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    const std::size_t bytes = byte(0) < 0x80 ? 1 : byte(0) >= 0xF0 ? 4 : byte(0) >= 0xE0 ? 3 : 2;
    if (bytes == 1) {
        return 1;
    }
    if (byte(0) < 0xC2 || byte(0) > 0xF4 || text.size() < bytes) {
        return 0;
    }
    for (std::size_t i = 1; i < bytes; ++i) {
        if ((byte(i) & 0xC0) != 0x80) {
            return 0;
        }
    }
    return bytes;
}

// C0, DEL and C1, which begins with C2H in UTF-8.
bool is_control(std::string_view character) {
    const auto byte = static_cast<unsigned char>(character[0]);
    return byte < 0x20 || byte == 0x7F ||
           (byte == 0xC2 && static_cast<unsigned char>(character[1]) < 0xA0);
}

}  // namespace

std::string_view trimmed(std::string_view text) {
    constexpr std::string_view blanks = " \t\r\n\v\f";
    text.remove_prefix(std::min(text.find_first_not_of(blanks), text.size()));
    return text.substr(0, text.find_last_not_of(blanks) + 1);
}

std::string lower_case(std::string_view text) {
    std::string letters{text};
    for (char& letter : letters) {
        letter = letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter - 'A' + 'a') : letter;
    }
    return letters;
}

std::string_view take_line(std::string_view& text) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    return line;
}

std::string printable(std::string_view text) {
    std::string shown;
    while (!text.empty()) {
        const std::size_t bytes = character_bytes(text);
        const std::string_view character = text.substr(0, std::max<std::size_t>(bytes, 1));
        if (bytes != 0 && !is_control(character)) {
            shown += character;
        } else {
            for (const char c : character) {
                shown += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
            }
        }
        text.remove_prefix(character.size());
    }
    return shown;
}

bool is_text(std::string_view text) {
    constexpr std::ptrdiff_t one_in = 50;
    const auto is_unexpected = [](unsigned char c) {
        return (c < 0x20 && !std::string_view{"\t\n\r\f\b\x1b\a"}.contains(static_cast<char>(c))) ||
               c == 0x7F;
    };
    return text.starts_with("\xFF\xFE") || text.starts_with("\xFE\xFF") ||
           std::ranges::count_if(text, is_unexpected) * one_in <= std::ssize(text);
}

std::size_t columns(std::string_view text) {
    // Every byte but the continuation bytes of UTF-8.
    return static_cast<std::size_t>(std::ranges::count_if(
        text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
}

std::vector<std::string> wrapped_lines(std::string_view text, std::size_t width) {
    std::vector<std::string> lines;
    std::string line;
    while (!text.empty()) {
        const std::size_t word_end = std::min(text.find(' '), text.size());
        const std::string_view word = text.substr(0, word_end);
        if (!line.empty() && columns(line) + 1 + columns(word) > width) {
            lines.push_back(std::move(line));
            line.clear();
        }
        if (!line.empty() || word.empty()) {
            line += ' ';
        }
        line += word;
        text.remove_prefix(std::min(word_end + 1, text.size()));
    }
    lines.push_back(std::move(line));
    return lines;
}

}  // namespace hvp::tool
