// Page faults. The lab's kernel pages nothing out: each one is somebody's mistake.
#pragma once

#include "lab/nt/ke/trap_frame.hpp"

namespace hvp::lab::ke {

[[noreturn]] void on_page_fault(const TrapFrame& frame);

}  // namespace hvp::lab::ke
