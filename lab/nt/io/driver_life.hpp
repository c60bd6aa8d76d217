// Loads a driver, calls DriverEntry and DriverUnload, and unloads it; as often as `loads` says.
#pragma once

#include "lab/boot/boot_block.hpp"

namespace hvp::lab::io {

void run_driver(const BootBlock& boot);

}  // namespace hvp::lab::io
