// Turns a self-describing event into the members of a JSON line. It knows no event: all that it
// says is what the event says of itself.
//
// It reads what a driver wrote, so it believes nothing: every size is held against the bytes that
// are there. It uses no memory but its stack, and its work is bounded by the size of the data,
// because each value takes at least one byte of it.
#pragma once

#include <optional>
#include <string_view>

#include "lab/nt/dbg/json_line.hpp"
#include "lab/nt/etw/metadata.hpp"

namespace hvp::lab::etw {

/// What came of it. If there is a problem, what was written is not whole.
struct Reading {
    std::string_view event{};                 ///< its name; empty: not even that can be read
    std::optional<std::string_view> field{};  ///< the one that has the problem, if it is one's
    Problem problem{};
};

/// Writes the event's fields. The names of a line's own members get an underscore, so that an event
/// cannot say when and by whom it was written.
[[nodiscard]] Reading read_event(Bytes metadata, Bytes data, dbg::JsonLine& members);

}  // namespace hvp::lab::etw
