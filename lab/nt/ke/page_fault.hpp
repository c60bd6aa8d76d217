// Page faults. The lab's kernel pages nothing out, so each one is an error of a driver, or the
// kernel's.
#pragma once

#include <optional>

#include "lab/nt/ke/exception_record.hpp"
#include "lab/nt/ke/trap_frame.hpp"

namespace hvp::lab::ke {

/// The exception that a page fault raises: only for a user-mode address, below DISPATCH_LEVEL. All
/// other page faults go to no handler.
[[nodiscard]] std::optional<Exception> exception_of_page_fault(const TrapFrame& frame);

[[noreturn]] void on_page_fault(const TrapFrame& frame);

}  // namespace hvp::lab::ke
