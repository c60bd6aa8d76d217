// The System process, which is the only one.
#pragma once

namespace hvp::lab::ps {

/// Registers it as an object, and sets its number and name.
///
/// Where    once, after the first thread has been adopted
void announce_system_process();

/// Whether a process lies at the address.
[[nodiscard]] bool is_process(const void* body);

}  // namespace hvp::lab::ps
