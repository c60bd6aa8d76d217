// Reads a VMCS from a dump of any kind, and writes one that can be read again.
#pragma once

#include <string>
#include <string_view>

#include "tool/explain/vmcs_image.hpp"
#include "tool/record/event.hpp"

namespace hvp::tool {

/// Reads text of any kind: our own dumps, "name = value" with prefixes of a log, the dumps of KVM
/// and of Xen, the events of a run (`events.jsonl`).
///
/// What has the form "name = value" with an unknown name is in `unknown`; other lines are
/// passed over.
[[nodiscard]] VmcsImage read_dump(std::string_view text);

/// Returns  what the event VmcsFields of a run says.
[[nodiscard]] VmcsImage image_of(const Event& vmcs_fields);

/// Writes everything that is known, a line each. `read_dump` gives the same image again.
[[nodiscard]] std::string write_dump(const VmcsImage& image);

}  // namespace hvp::tool
