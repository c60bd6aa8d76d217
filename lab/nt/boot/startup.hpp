// Starting the processors other than the first.
#pragma once

#include "lab/boot/boot_block.hpp"

namespace hvp::lab {

/// Puts the code with which a processor starts where a start-up IPI finds it.
///
/// Where    while RAM is still mapped one to one by the firmware's page tables
void place_startup_code();

/// Starts them one after the other; each has run its set-up and waits for work at return.
///
/// Where    processor 0, when it is whole itself
void start_other_processors(const BootBlock& boot);

}  // namespace hvp::lab
