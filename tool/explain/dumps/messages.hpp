// What programs say about a failed VM entry in words, without a dump of the VMCS.
#pragma once

#include <string_view>

#include "tool/explain/dumps/image_builder.hpp"

namespace hvp::tool {

/// Reads messages in a line: `hardware error 0x80000021`, `EXIT_REASON_INVALID_GUEST_STATE`,
/// `VM-Entry failed, Code=7`, VirtualBox's `HM error = 0x23a (570)`.
///
/// Returns  whether the line has nothing else to read
bool read_message(std::string_view line, ImageBuilder& builder);

}  // namespace hvp::tool
