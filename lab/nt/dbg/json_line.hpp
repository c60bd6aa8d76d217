// One JSON object on one line, written member by member into a text buffer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "lab/nt/rtl/text.hpp"

namespace hvp::lab::dbg {

/// Builds the line. Every name and text is escaped; bytes above 7Fh that are not UTF-8 count as
/// Latin-1, so that whatever a driver prints, the line stays valid JSON.
class JsonLine {
public:
    explicit JsonLine(rtl::TextWriter& out) : out_{out} {}

    void begin();
    void end();  ///< closes the object and the line
    void number(std::string_view name, std::uint64_t value);
    void text(std::string_view name, std::string_view value);
    void boolean(std::string_view name, bool value);

    /// A 64-bit value as a string, `0x…`: JSON's numbers are exact only up to 53 bits.
    void hex(std::string_view name, std::uint64_t value, unsigned digits = 1);

    void begin_array(std::string_view name);
    void element(std::string_view value);
    void hex_element(std::uint64_t value);
    void end_array();

    void begin_object(std::string_view name);
    void end_object();

    /// Members that another JsonLine has written.
    void members(std::string_view written);

    /// For a caller that learns a value's type only while it reads it: first `member` or an
    /// element, then one of the values. An array or object is closed as above.
    void member(std::string_view name);
    void element();
    void value(std::uint64_t value) { out_.decimal(value); }
    void signed_value(std::int64_t value);
    void hex_value(std::uint64_t value, unsigned digits = 1);
    void boolean_value(bool value) { out_.put(value ? "true" : "false"); }
    void text_value(std::string_view value);
    /// UTF-16, low byte first.
    void wide_text_value(std::span<const std::byte> value);
    void hex_bytes_value(std::span<const std::byte> value);
    void open_array();
    void open_object();

private:
    void separate();
    void character(std::uint32_t code);
    void code_unit(std::uint32_t code);

    rtl::TextWriter& out_;
    bool first_{true};
};

}  // namespace hvp::lab::dbg
