// Starting the processors other than the first.
#pragma once

#include "lab/boot/boot_block.hpp"

namespace hvp::lab {

/// Copies the code with which a processor starts to the page that the start-up IPI names.
///
/// Where    while RAM is still mapped one to one by the firmware's page tables
void place_startup_code();

/// Starts them one after the other. At return each has finished its set-up and is idle.
///
/// Where    processor 0, after its own set-up
void start_other_processors(const BootBlock& boot);

}  // namespace hvp::lab
