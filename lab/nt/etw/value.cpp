// Numbers, texts, and the few compound types that Windows' events have.
#include "lab/nt/etw/value.hpp"

#include <array>
#include <optional>
#include <utility>

#include "lab/nt/rtl/text.hpp"

namespace hvp::lab::etw {
namespace {

using ShortText = rtl::Text<240>;

/// 1 to 8 bytes, as the type says; 0: it is no number.
constexpr std::size_t number_bytes(In in) {
    switch (in) {
        case In::float32:
        case In::bool32:
        case In::hex_int32:
            return 4;
        case In::float64:
        case In::pointer:
        case In::filetime:
        case In::hex_int64:
            return 8;
        default:
            if (in >= In::int8 && in <= In::uint64) {
                const int pair = (std::to_underlying(in) - std::to_underlying(In::int8)) / 2;
                return std::size_t{1} << pair;
            }
            return 0;
    }
}

/// In pairs, the signed one first.
constexpr bool is_signed(In in) {
    return in >= In::int8 && in <= In::uint64 && std::to_underlying(in) % 2 != 0;
}

std::int64_t signed_number(std::uint64_t value, std::size_t bytes) {
    const std::uint64_t sign = std::uint64_t{1} << (8 * bytes - 1);
    return static_cast<std::int64_t>((value ^ sign) - sign);
}

/// Most significant byte first: network byte order.
std::uint64_t turned_round(Bytes bytes) {
    std::uint64_t value = 0;
    for (const std::byte byte : bytes) {
        value = value << 8 | std::to_integer<std::uint64_t>(byte);
    }
    return value;
}

void write_address(Bytes bytes, dbg::JsonLine& line) {
    rtl::Text<16> text;
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        text.put(i == 0 ? "" : ".").decimal(std::to_integer<std::uint64_t>(bytes[i]));
    }
    line.text_value(text.view());
}

/// A number as the field's Out type formats it, or else as its In type does.
void write_number(const Field& field, Bytes bytes, dbg::JsonLine& line) {
    const std::uint64_t value = *Cursor{bytes}.number(bytes.size());
    switch (field.out) {
        case Out::boolean:
            return line.boolean_value(value != 0);
        case Out::hexadecimal:
        case Out::code_pointer:
            return line.hex_value(value);
        case Out::ntstatus:
        case Out::hresult:
            return line.hex_value(value, 8);
        case Out::string:
            if (bytes.size() == 1) {
                return line.text_value(text_of(bytes));
            }
            if (bytes.size() == 2) {
                return line.wide_text_value(bytes);
            }
            break;
        case Out::port:
            return line.value(turned_round(bytes));
        case Out::ipv4:
            if (bytes.size() == 4) {
                return write_address(bytes, line);
            }
            break;
        case Out::signed_number:
            return line.signed_value(signed_number(value, bytes.size()));
        case Out::unsigned_number:
            return line.value(value);
        case Out::none:
            break;
    }
    switch (field.in) {
        case In::bool32:
            return line.boolean_value(value != 0);
        case In::hex_int32:
        case In::hex_int64:
        case In::pointer:
        // The kernel has no floating-point code: their bits.
        case In::float32:
        case In::float64:
            return line.hex_value(value);
        default:
            return is_signed(field.in) ? line.signed_value(signed_number(value, bytes.size()))
                                       : line.value(value);
    }
}

/// `12345678-9abc-def0-1234-56789abcdef0`
void write_guid(Cursor bytes, dbg::JsonLine& line) {
    ShortText text;
    const auto digits = [&](std::uint64_t value, std::size_t count) {
        while (count-- != 0) {
            const char digit = "0123456789abcdef"[value >> (4 * count) & 15];
            text.put({&digit, 1});
        }
    };
    digits(*bytes.number(4), 8);
    for (int part = 0; part < 2; ++part) {
        text.put("-");
        digits(*bytes.number(2), 4);
    }
    text.put("-");
    digits(turned_round(*bytes.take(2)), 4);
    text.put("-");
    digits(turned_round(*bytes.take(6)), 12);
    line.text_value(text.view());
}

/// [Windows: SYSTEMTIME] `2026-1-31 23:59:58.999`
void write_system_time(Cursor bytes, dbg::JsonLine& line) {
    struct Part {
        std::string_view before{};
        bool shown{true};
    };
    constexpr std::array<Part, 8> parts{Part{""},  Part{"-"}, Part{"day of the week", false},
                                        Part{"-"}, Part{" "}, Part{":"},
                                        Part{":"}, Part{"."}};
    ShortText text;
    for (const Part& part : parts) {
        const std::uint64_t number = *bytes.number(2);
        if (part.shown) {
            text.put(part.before).decimal(number);
        }
    }
    line.text_value(text.view());
}

/// [Windows: SID] `S-1-5-18`
bool write_sid(Cursor& data, dbg::JsonLine& line) {
    const auto revision = data.number(1);
    const auto count = data.number(1);
    const auto authority = data.take(6);
    if (!authority) {
        return false;
    }
    ShortText text{"S-"};
    text.decimal(*revision).put("-").decimal(turned_round(*authority));
    for (std::uint64_t i = 0; i < *count; ++i) {
        const auto part = data.number(4);
        if (!part) {
            return false;
        }
        text.put("-").decimal(*part);
    }
    line.text_value(text.view());
    return true;
}

std::optional<Bytes> take_counted(Cursor& data) {
    const auto size = data.number(2);
    return size ? data.take(*size) : std::nullopt;
}

}  // namespace

bool write_counted_bytes(Cursor& data, dbg::JsonLine& line) {
    const auto bytes = take_counted(data);
    if (bytes) {
        line.hex_bytes_value(*bytes);
    }
    return bytes.has_value();
}

bool write_value(const Field& field, Cursor& data, dbg::JsonLine& line) {
    const auto write = [&](std::optional<Bytes> bytes, auto writer) {
        if (bytes) {
            writer(*bytes);
        }
        return bytes.has_value();
    };
    const auto text = [&](Bytes bytes) { line.text_value(text_of(bytes)); };
    const auto wide_text = [&](Bytes bytes) { line.wide_text_value(bytes); };
    switch (field.in) {
        case In::wide_string:
            return write(data.until_zero(2), wide_text);
        case In::ansi_string:
            return write(data.until_zero(1), text);
        case In::counted_wide_string:
            return write(take_counted(data), wide_text);
        case In::counted_ansi_string:
            return write(take_counted(data), text);
        case In::binary:
        case In::counted_binary:
            return write_counted_bytes(data, line);
        case In::guid:
            return write(data.take(16), [&](Bytes bytes) { write_guid(Cursor{bytes}, line); });
        case In::systemtime:
            return write(data.take(16),
                         [&](Bytes bytes) { write_system_time(Cursor{bytes}, line); });
        case In::sid:
            return write_sid(data, line);
        default:
            return write(data.take(number_bytes(field.in)),
                         [&](Bytes bytes) { write_number(field, bytes, line); });
    }
}

}  // namespace hvp::lab::etw
