// Writes JSON: separators, quotes, escapes.
#include "lab/nt/dbg/json_line.hpp"

namespace hvp::lab::dbg {

void JsonLine::begin() {
    out_.put('{');
    first_ = true;
}

void JsonLine::end() {
    out_.put("}\n");
}

void JsonLine::number(std::string_view name, std::uint64_t value) {
    this->name(name);
    out_.decimal(value);
}

void JsonLine::text(std::string_view name, std::string_view value) {
    this->name(name);
    quoted(value);
}

void JsonLine::boolean(std::string_view name, bool value) {
    this->name(name);
    out_.put(value ? "true" : "false");
}

void JsonLine::hex(std::string_view name, std::uint64_t value, unsigned digits) {
    this->name(name);
    out_.put('"').hex(value, digits).put('"');
}

void JsonLine::begin_array(std::string_view name) {
    this->name(name);
    out_.put('[');
    first_ = true;
}

void JsonLine::element(std::string_view value) {
    separate();
    quoted(value);
}

void JsonLine::hex_element(std::uint64_t value) {
    separate();
    out_.put('"').hex(value).put('"');
}

void JsonLine::end_array() {
    out_.put(']');
    first_ = false;
}

void JsonLine::begin_object(std::string_view name) {
    this->name(name);
    out_.put('{');
    first_ = true;
}

void JsonLine::end_object() {
    out_.put('}');
    first_ = false;
}

void JsonLine::separate() {
    if (!first_) {
        out_.put(',');
    }
    first_ = false;
}

void JsonLine::name(std::string_view name) {
    separate();
    quoted(name);
    out_.put(':');
}

void JsonLine::quoted(std::string_view value) {
    out_.put('"');
    for (const char character : value) {
        const auto code = static_cast<unsigned char>(character);
        if (character == '"' || character == '\\') {
            out_.put('\\').put(character);
        } else if (character == '\n') {
            out_.put("\\n");
        } else if (code < 0x20 || code >= 0x7F) {
            out_.put("\\u00").put("0123456789abcdef"[code >> 4]).put("0123456789abcdef"[code & 15]);
        } else {
            out_.put(character);
        }
    }
    out_.put('"');
}

}  // namespace hvp::lab::dbg
