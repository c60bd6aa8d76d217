// The local APIC: end of interrupt, and the timer behind the clock.
#pragma once

#include <cstdint>

namespace hvp::lab::hal {

/// Switches the local APIC on with a spurious vector, everything else masked.
///
/// Where    after the page tables are the kernel's own
void initialise_apic();

/// Lets the timer interrupt with `vector` each time that `ticks` instructions have run.
void start_clock(std::uint8_t vector, std::uint32_t ticks);

/// Tells the APIC that the interrupt in service is done.
void end_of_interrupt();

/// The ID that other processors address this one by.
[[nodiscard]] std::uint32_t apic_id();

}  // namespace hvp::lab::hal
