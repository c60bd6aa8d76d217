// One JSON object on one line, written member by member into a text buffer.
#pragma once

#include <cstdint>
#include <string_view>

#include "lab/nt/rtl/text.hpp"

namespace hvp::lab::dbg {

/// Builds the line. Every name and text is escaped; bytes above 7Fh count as Latin-1, so that
/// whatever a driver prints, the line stays valid JSON.
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

private:
    void separate();
    void name(std::string_view name);
    void quoted(std::string_view value);

    rtl::TextWriter& out_;
    bool first_{true};
};

}  // namespace hvp::lab::dbg
