// NMIs: who wants them says so by a callback.
#pragma once

namespace hvp::lab::ke {

/// Calls the callbacks, each of which says whether the NMI was its own.
///
/// Returns  whether one said so
/// Where    the NMI's handler
/// Source   [Windows: KeRegisterNmiCallback]
[[nodiscard]] bool call_nmi_callbacks();

/// Reports the callbacks that the driver has not deregistered, and removes them.
///
/// Where    after the driver's last call, before its image is unmapped
void report_left_nmi_callbacks();

}  // namespace hvp::lab::ke
