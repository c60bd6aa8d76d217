// Turns a self-describing event into the members of a JSON line. It knows no event in advance: it
// uses only the event's own description.
//
// It reads what a driver wrote, so it trusts nothing: every size is checked against the bytes that
// are there. It uses no memory but its stack, and its work is bounded by the size of the data,
// because each value takes at least one byte of it.
#pragma once

#include <optional>
#include <string_view>

#include "lab/nt/dbg/json_line.hpp"
#include "lab/nt/etw/metadata.hpp"

namespace hvp::lab::etw {

/// The result. If there is a problem, what was written is incomplete.
struct Reading {
    std::string_view event{};                 ///< its name; empty: the name cannot be read
    std::optional<std::string_view> field{};  ///< the field that has the problem, if a field has it
    Problem problem{};
};

/// Writes the event's fields. A field with the name of one of the line's own members (`t`, `cpu`,
/// `from`, `event`) gets an underscore, so that it cannot replace that member.
[[nodiscard]] Reading read_event(Bytes metadata, Bytes data, dbg::JsonLine& members);

}  // namespace hvp::lab::etw
