// Reads what a TraceLogging event says about itself: its name, and the name and types of its
// fields. The format is Microsoft's, and anything may be wrong in it.
#pragma once

#include <cstdint>
#include <expected>
#include <string_view>

#include "lab/nt/etw/cursor.hpp"

namespace hvp::lab::etw {

/// What is wrong, as the rest of a sentence about the event or the field.
using Problem = std::string_view;

/// How a value lies in the event's data.
enum class In : std::uint8_t {
    wide_string = 1,
    ansi_string = 2,
    int8 = 3,  // and so on in pairs, signed and unsigned, up to
    uint64 = 10,
    float32 = 11,
    float64 = 12,
    bool32 = 13,
    binary = 14,
    guid = 15,
    pointer = 16,
    filetime = 17,
    systemtime = 18,
    sid = 19,
    hex_int32 = 20,
    hex_int64 = 21,
    counted_wide_string = 22,
    counted_ansi_string = 23,
    structure = 24,
    counted_binary = 25,
};

/// How a reader should show it, as far as it makes a difference here.
enum class Out : std::uint8_t {
    none = 0,
    string = 2,
    boolean = 3,
    hexadecimal = 4,
    port = 7,
    ipv4 = 8,
    ntstatus = 14,
    hresult = 15,
    signed_number = 17,
    unsigned_number = 18,
    code_pointer = 37,
};

/// How many values a field has.
enum class Count : std::uint8_t { one = 0, fixed = 0x20, variable = 0x40, custom = 0x60 };

struct Field {
    std::string_view name{};
    In in{};
    Out out{};
    Count count{};
    std::uint16_t length{};  ///< of a fixed array
    std::uint8_t members{};  ///< of a structure: so many of the following fields belong to it
};

/// The next field; the cursor is after it then.
///
/// Returns  what is wrong with it, or nothing. Its name is there if it could be read.
[[nodiscard]] Problem take_field(Cursor& metadata, Field& field);

/// The event's name; the cursor is before the first field then.
[[nodiscard]] std::expected<std::string_view, Problem> take_event_name(Cursor& metadata);

/// The provider's name, out of its traits: a size, a name, and perhaps more that has its own size.
[[nodiscard]] std::expected<std::string_view, Problem> provider_name(Bytes traits);

}  // namespace hvp::lab::etw
