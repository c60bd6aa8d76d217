// Reads a VMCS from whatever somebody pasted, and writes one down so that it can be read again.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "tool/explain/vmcs_image.hpp"

namespace hvp::tool {

/// A number as people write it: 0x10, 10h, 10, fffff801`00101000, FFFFFFFF_FFFFFFFFH in
/// hexadecimal; 0n16, `16 (decimal)` in decimal.
///
/// Returns  nothing if the text is anything else
[[nodiscard]] std::optional<std::uint64_t> number_in(std::string_view text);

/// Reads text of any kind: our own dumps, "name = value" with prefixes of a log, the dumps of KVM
/// and of Xen, the events of a run (`events.jsonl`).
///
/// What has the form "name = value" with a name that nobody knows is in `unknown`; other lines are
/// passed over.
[[nodiscard]] VmcsImage read_dump(std::string_view text);

/// Writes everything that is known, a line each. `read_dump` gives the same image again.
[[nodiscard]] std::string write_dump(const VmcsImage& image);

}  // namespace hvp::tool
