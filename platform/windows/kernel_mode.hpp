// Is there a kernel around the driver? The first thing that each asks.
#pragma once

namespace hvp::windows {

/// Is this a kernel at all? An imitation of Windows in a process, as Wine is, lacks much of what a
/// driver uses, so a driver asks before it calls anything else.
///
/// Returns  false above CPL 0, and prints why for a debugger
/// Source   [SDM 3A 5.5 "Privilege Levels"]
[[nodiscard]] bool runs_in_a_kernel();

}  // namespace hvp::windows
