// The local APIC: end of interrupt, the timer behind the clock, interrupts for other processors.
#pragma once

#include <bit>
#include <cstdint>

#include "lab/nt/mm/layout.hpp"

namespace hvp::lab::hal {

/// Makes the registers reachable. Each processor finds its own ones at the same address.
///
/// Where    once, after the page tables are the kernel's own
void map_apic();

/// Whether map_apic has run.
inline constinit bool apic_is_mapped{};

/// Switches the local APIC on with a spurious vector, everything else masked.
///
/// Where    each processor
void initialise_apic();

/// Lets the timer interrupt with `vector` each time that `ticks` instructions have run.
void start_clock(std::uint8_t vector, std::uint32_t ticks);

/// Tells the APIC that the interrupt in service is done.
void end_of_interrupt();

/// The ID that other processors address this one by. The emulator counts them from 0, so it is
/// also the processor's number. No driver can change it, as it could change what GS points to.
[[nodiscard]] inline std::uint32_t apic_id() {
    constexpr std::uint64_t id_register = 0x20;
    return *std::bit_cast<const volatile std::uint32_t*>((mm::local_apic + id_register).raw()) >>
           24;
}

/// Interrupts the processor with that ID.
void send_interrupt(std::uint32_t apic_id, std::uint8_t vector);

/// Interrupts this processor as soon as its IRQL allows it.
void send_interrupt_to_self(std::uint8_t vector);

/// INIT, and a start-up IPI with the page at which the processor begins in real mode.
/// [SDM 3A 8.4.4.1 "Typical BSP Initialization Sequence"]
void send_init(std::uint32_t apic_id);
void send_startup(std::uint32_t apic_id, std::uint64_t page);

/// An NMI, which no interrupt flag and no IRQL holds back.
void send_nmi_to_all_others();

}  // namespace hvp::lab::hal
