// Standard output that cannot be written is an error like any other.
#pragma once

#include <string>
#include <string_view>

namespace hvp::tool {

/// Opens what the caller has closed of the three standard streams, so that no file of ours gets
/// their numbers. What is written to them fails, as it would have.
void keep_standard_streams();

/// Writes to standard output, without an exception if it fails: `unwritten_output` says so.
void write_output(std::string_view text);

/// Keeps the error of somebody else's write to standard output, for `unwritten_output`.
void note_output_error(int error);

/// Writes what is still buffered for standard output, before something goes to standard error.
void flush_output();

/// Writes what is still buffered for standard output.
/// Returns  why some of the output was not written, empty if all was.
[[nodiscard]] std::string unwritten_output();

}  // namespace hvp::tool
