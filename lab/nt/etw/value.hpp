// One value out of an event's data, as JSON.
#pragma once

#include "lab/nt/dbg/json_line.hpp"
#include "lab/nt/etw/metadata.hpp"

namespace hvp::lab::etw {

/// Takes a value of the field's type, which is not a structure, and writes it.
///
/// Returns  false if the data ends before the value does
[[nodiscard]] bool write_value(const Field& field, Cursor& data, dbg::JsonLine& line);

/// Takes a count and so many bytes, and writes them in hexadecimal.
///
/// Returns  as above
[[nodiscard]] bool write_counted_bytes(Cursor& data, dbg::JsonLine& line);

}  // namespace hvp::lab::etw
