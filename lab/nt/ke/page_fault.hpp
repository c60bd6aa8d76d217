// Page faults. The lab's kernel pages nothing out: each one is somebody's mistake.
#pragma once

#include <optional>

#include "lab/nt/ke/exception_record.hpp"
#include "lab/nt/ke/trap_frame.hpp"

namespace hvp::lab::ke {

/// The exception that a page fault is: one at an address of user mode, below DISPATCH_LEVEL. All
/// others are nothing that a handler may take.
[[nodiscard]] std::optional<Exception> exception_of_page_fault(const TrapFrame& frame);

[[noreturn]] void on_page_fault(const TrapFrame& frame);

}  // namespace hvp::lab::ke
