// What an exit qualification says, in words.
#pragma once

#include <cstdint>
#include <string>

#include "hypervisor/vmcs/exit_reason.hpp"

namespace hvp::tool {

/// Returns  for instance "MOV from CR3 to RAX" or "write; mapped r-x"; empty where the reason has
/// no
///          qualification, or one that says nothing without more
/// Source   [SDM 3C 27.2.1 "Basic VM-Exit Information"]
[[nodiscard]] std::string qualification_words(vmx::ExitReason reason, std::uint64_t qualification);

}  // namespace hvp::tool
