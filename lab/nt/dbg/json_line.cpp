// Writes JSON: separators, quotes, escapes.
#include "lab/nt/dbg/json_line.hpp"

namespace hvp::lab::dbg {
namespace {

constexpr std::uint32_t replacement = 0xFFFD;  // stands for half a surrogate pair

constexpr bool is_surrogate(std::uint32_t code) {
    return code >= 0xD800 && code < 0xE000;
}

/// Takes the first character of the text. Bytes that are not UTF-8 are read as Latin-1.
std::uint32_t take_character(std::string_view& text) {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    const std::uint32_t first = byte(0);
    const std::size_t length = first < 0xC2   ? 1
                               : first < 0xE0 ? 2
                               : first < 0xF0 ? 3
                               : first < 0xF5 ? 4
                                              : 1;
    std::uint32_t code = length == 1 ? first : first & (0xFFU >> (length + 1));
    bool good = length <= text.size();
    for (std::size_t i = 1; good && i < length; ++i) {
        good = (byte(i) & 0xC0) == 0x80;
        code = code << 6 | (byte(i) & 0x3FU);
    }
    // Overlong, half of a surrogate pair, or greater than U+10FFFF.
    good = good && !is_surrogate(code) && code <= 0x10'FFFF && (length < 3 || code >= 0x800) &&
           (length < 4 || code >= 0x1'0000);
    text.remove_prefix(good ? length : 1);
    return good ? code : first;
}

}  // namespace

void JsonLine::begin() {
    out_.put('{');
    first_ = true;
}

void JsonLine::end() {
    out_.put("}\n");
}

void JsonLine::number(std::string_view name, std::uint64_t number) {
    member(name);
    value(number);
}

void JsonLine::text(std::string_view name, std::string_view value) {
    member(name);
    text_value(value);
}

void JsonLine::boolean(std::string_view name, bool value) {
    member(name);
    boolean_value(value);
}

void JsonLine::hex(std::string_view name, std::uint64_t value, unsigned digits) {
    member(name);
    hex_value(value, digits);
}

void JsonLine::begin_array(std::string_view name) {
    member(name);
    open_array();
}

void JsonLine::element(std::string_view value) {
    element();
    text_value(value);
}

void JsonLine::hex_element(std::uint64_t value) {
    element();
    hex_value(value);
}

void JsonLine::end_array() {
    out_.put(']');
    first_ = false;
}

void JsonLine::begin_object(std::string_view name) {
    member(name);
    open_object();
}

void JsonLine::end_object() {
    out_.put('}');
    first_ = false;
}

void JsonLine::members(std::string_view written) {
    if (!written.empty()) {
        separate();
        out_.put(written);
    }
}

void JsonLine::member(std::string_view name) {
    separate();
    text_value(name);
    out_.put(':');
}

void JsonLine::element() {
    separate();
}

void JsonLine::signed_value(std::int64_t value) {
    if (value < 0) {
        out_.put('-');
    }
    const auto bits = static_cast<std::uint64_t>(value);
    out_.decimal(value < 0 ? 0 - bits : bits);
}

void JsonLine::hex_value(std::uint64_t value, unsigned digits) {
    out_.put('"').hex(value, digits).put('"');
}

void JsonLine::text_value(std::string_view value) {
    out_.put('"');
    while (!value.empty()) {
        character(take_character(value));
    }
    out_.put('"');
}

void JsonLine::wide_text_value(std::span<const std::byte> value) {
    const auto unit = [&](std::size_t i) {
        return 2 * i + 1 < value.size() ? std::to_integer<std::uint32_t>(value[2 * i]) |
                                              std::to_integer<std::uint32_t>(value[2 * i + 1]) << 8
                                        : 0;
    };
    out_.put('"');
    for (std::size_t i = 0; i < value.size() / 2; ++i) {
        const bool pair =
            unit(i) >= 0xD800 && unit(i) < 0xDC00 && unit(i + 1) >= 0xDC00 && unit(i + 1) < 0xE000;
        if (pair) {
            character(0x1'0000 + ((unit(i) & 0x3FF) << 10) + (unit(i + 1) & 0x3FF));
            ++i;
        } else {
            character(is_surrogate(unit(i)) ? replacement : unit(i));
        }
    }
    out_.put('"');
}

void JsonLine::hex_bytes_value(std::span<const std::byte> value) {
    out_.put('"');
    for (const std::byte byte : value) {
        const auto bits = std::to_integer<unsigned>(byte);
        out_.put("0123456789abcdef"[bits >> 4]).put("0123456789abcdef"[bits & 15]);
    }
    out_.put('"');
}

void JsonLine::open_array() {
    out_.put('[');
    first_ = true;
}

void JsonLine::open_object() {
    out_.put('{');
    first_ = true;
}

void JsonLine::separate() {
    if (!first_) {
        out_.put(',');
    }
    first_ = false;
}

void JsonLine::character(std::uint32_t code) {
    if (code == '"' || code == '\\') {
        out_.put('\\').put(static_cast<char>(code));
    } else if (code == '\n') {
        out_.put("\\n");
    } else if (code >= 0x20 && code < 0x7F) {
        out_.put(static_cast<char>(code));
    } else if (code < 0x1'0000) {
        code_unit(code);
    } else {
        code_unit(0xD800 + ((code - 0x1'0000) >> 10));
        code_unit(0xDC00 + (code & 0x3FF));
    }
}

void JsonLine::code_unit(std::uint32_t code) {
    out_.put("\\u");
    for (unsigned shift = 16; shift != 0;) {
        shift -= 4;
        out_.put("0123456789abcdef"[code >> shift & 15]);
    }
}

}  // namespace hvp::lab::dbg
