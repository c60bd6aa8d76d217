// The fields, one by one.
#include "lab/nt/etw/metadata.hpp"

#include <algorithm>
#include <optional>

namespace hvp::lab::etw {
namespace {

using namespace std::string_view_literals;

constexpr std::uint64_t more_follows = 0x80;

/// Seven bits in each byte. Usually up to four bytes, but longer forms are found in real drivers.
bool skip_tags(Cursor& metadata) {
    for (;;) {
        const auto byte = metadata.number(1);
        if (!byte) {
            return false;
        }
        if ((*byte & more_follows) == 0) {
            return true;
        }
    }
}

/// Everything begins with its size in two bytes, which count.
bool has_its_size(Cursor& cursor) {
    const std::size_t bytes = cursor.rest().size();
    const auto size = cursor.number(2);
    return size && *size == bytes;
}

/// The Out byte and the tags after it.
bool take_out(Cursor& metadata, Field& field) {
    const auto out = metadata.number(1);
    if (!out) {
        return false;
    }
    const auto bits = static_cast<std::uint8_t>(*out & 0x7F);
    if (field.in == In::structure) {
        field.members = bits;
    } else {
        field.out = static_cast<Out>(bits);
    }
    return (*out & more_follows) == 0 || skip_tags(metadata);
}

/// What follows the types of an array.
bool take_length(Cursor& metadata, Field& field) {
    if (field.count == Count::fixed) {
        const auto length = metadata.number(2);
        field.length = static_cast<std::uint16_t>(length.value_or(0));
        return length.has_value();
    }
    if (field.count == Count::custom) {
        const auto schema = metadata.number(2);
        return schema && metadata.take(*schema);
    }
    return true;
}

Problem broken_rule(const Field& field) {
    if (field.in < In::wide_string || field.in > In::counted_binary) {
        return "has a type that does not exist";
    }
    if (field.in == In::structure && field.members == 0) {
        return "is a structure without members";
    }
    if (field.count == Count::fixed && field.length == 0) {
        return "is an array of no elements";
    }
    if (field.in == In::binary && field.count != Count::one && field.count != Count::custom) {
        return "is an array of binary data, which readers do not know";
    }
    if (field.in == In::structure && field.count == Count::custom) {
        return "is a structure with a form of its own";
    }
    return {};
}

}  // namespace

Problem take_field(Cursor& metadata, Field& field) {
    field = {};
    const auto name = metadata.until_zero(1);
    if (!name) {
        return "has a name that does not end";
    }
    // Readers take what follows a semicolon as a comment.
    const std::string_view text = text_of(*name);
    field.name = {text.begin(), std::ranges::find(text, ';')};
    const auto in = metadata.number(1);
    if (!in) {
        return "has no type: the metadata ends";
    }
    field.in = static_cast<In>(*in & 0x1F);
    field.count = static_cast<Count>(*in & 0x60);
    if (((*in & more_follows) != 0 && !take_out(metadata, field)) ||
        !take_length(metadata, field)) {
        return "is cut off: the metadata ends";
    }
    return broken_rule(field);
}

std::expected<std::string_view, Problem> take_event_name(Cursor& metadata) {
    if (!has_its_size(metadata)) {
        return std::unexpected{"has metadata that does not begin with its own size"sv};
    }
    const auto name = skip_tags(metadata) ? metadata.until_zero(1) : std::nullopt;
    if (!name) {
        return std::unexpected{"has a name that does not end"sv};
    }
    if (name->empty()) {
        return std::unexpected{"has no name"sv};
    }
    return text_of(*name);
}

std::expected<std::string_view, Problem> provider_name(Bytes traits) {
    Cursor cursor{traits};
    if (!has_its_size(cursor)) {
        return std::unexpected{"do not begin with their own size"sv};
    }
    const auto name = cursor.until_zero(1);
    if (!name) {
        return std::unexpected{"have a name that does not end"sv};
    }
    while (!cursor.at_end()) {
        const auto size = cursor.number(2);
        constexpr std::uint64_t head = 3;  // the size itself, and what kind of trait it is
        if (!size || *size < head || !cursor.take(*size - 2)) {
            return std::unexpected{"hold a trait whose size is wrong"sv};
        }
    }
    return text_of(*name);
}

}  // namespace hvp::lab::etw
