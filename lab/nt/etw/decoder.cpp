// Decodes fields, arrays and structures; value.cpp decodes a single value.
#include "lab/nt/etw/decoder.hpp"

#include <algorithm>
#include <array>

#include "lab/nt/etw/value.hpp"
#include "lab/nt/rtl/text.hpp"

namespace hvp::lab::etw {
namespace {

// The tool does not read lines that nest more deeply.
constexpr unsigned deepest = 6;

constexpr std::array<std::string_view, 4> reserved_names{"t", "cpu", "from", "event"};

class Decoder {
public:
    Decoder(Bytes data, dbg::JsonLine& members) : data_{data}, members_{members} {}

    /// All fields up to the end of the metadata.
    void read_all(Cursor metadata) {
        while (!failed() && !metadata.at_end()) {
            read_field(metadata, 0);
        }
        if (!failed() && !data_.at_end()) {
            fail(std::nullopt, "has more data than its fields take");
        }
    }

    [[nodiscard]] bool failed() const { return !problem_.empty(); }
    [[nodiscard]] Problem problem() const { return problem_; }
    [[nodiscard]] std::optional<std::string_view> field() const { return field_; }

private:
    void fail(std::optional<std::string_view> field, Problem problem) {
        if (!failed()) {
            field_ = field;
            problem_ = problem;
        }
    }

    /// So many fields, or fewer if one of them is wrong.
    void read_members(Cursor& metadata, std::uint8_t count, unsigned depth) {
        for (; count != 0 && !failed(); --count) {
            read_field(metadata, depth);
        }
    }

    void skip_members(Cursor& metadata, std::uint8_t count, unsigned depth) {
        for (; count != 0 && !failed(); --count) {
            if (const Field field = take(metadata, depth); field.in == In::structure) {
                skip_members(metadata, field.members, depth + 1);
            }
        }
    }

    Field take(Cursor& metadata, unsigned depth) {
        Field field;
        if (const Problem problem = take_field(metadata, field); !problem.empty()) {
            fail(field.name, problem);
        } else if (field.in == In::structure && depth == deepest) {
            fail(field.name, "is a structure nested too deep");
        }
        return field;
    }

    void read_field(Cursor& metadata, unsigned depth) {
        const Field field = take(metadata, depth);
        if (failed()) {
            return;
        }
        start_member(field.name, depth);
        switch (field.count) {
            case Count::one:
                return read_value(field, metadata, depth);
            case Count::fixed:
                return read_array(field, field.length, metadata, depth);
            case Count::variable:
                if (const auto length = data_.number(2)) {
                    return read_array(field, *length, metadata, depth);
                }
                return fail(field.name, data_ends);
            case Count::custom:
                if (!write_counted_bytes(data_, members_)) {
                    fail(field.name, data_ends);
                }
                return;
        }
    }

    void start_member(std::string_view name, unsigned depth) {
        const bool reserved =
            depth == 0 && std::ranges::find(reserved_names, name) != reserved_names.end();
        if (!reserved) {
            return members_.member(name);
        }
        members_.member(rtl::Text<8>{name}.put("_").view());
    }

    void read_array(const Field& field, std::uint64_t length, Cursor& metadata, unsigned depth) {
        const Cursor members = metadata;
        members_.open_array();
        for (std::uint64_t i = 0; i < length && !failed(); ++i) {
            metadata = members;  // of a structure: each element has them
            members_.element();
            read_value(field, metadata, depth);
        }
        members_.end_array();
        if (length == 0 && field.in == In::structure) {
            skip_members(metadata, field.members, depth + 1);
        }
    }

    void read_value(const Field& field, Cursor& metadata, unsigned depth) {
        if (field.in == In::structure) {
            members_.open_object();
            read_members(metadata, field.members, depth + 1);
            members_.end_object();
        } else if (!write_value(field, data_, members_)) {
            fail(field.name, data_ends);
        }
    }

    static constexpr Problem data_ends = "has a value that goes beyond the event's data";

    Cursor data_;
    dbg::JsonLine& members_;
    Problem problem_{};
    std::optional<std::string_view> field_{};
};

}  // namespace

Reading read_event(Bytes metadata, Bytes data, dbg::JsonLine& members) {
    Cursor cursor{metadata};
    const auto name = take_event_name(cursor);
    if (!name) {
        return {.problem = name.error()};
    }
    Decoder decoder{data, members};
    decoder.read_all(cursor);
    return {.event = *name, .field = decoder.field(), .problem = decoder.problem()};
}

}  // namespace hvp::lab::etw
