// The end of the machine.
#pragma once

namespace hvp::lab::hal {

/// Ends the emulator through its shutdown port.
[[noreturn]] void shut_down();

}  // namespace hvp::lab::hal
