// Loads a driver, lets it live, unloads it; as often as asked.
#pragma once

#include "lab/boot/boot_block.hpp"

namespace hvp::lab::io {

void run_driver(const BootBlock& boot);

}  // namespace hvp::lab::io
