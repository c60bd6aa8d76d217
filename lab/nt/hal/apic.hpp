// The local APIC: end of interrupt (EOI), the timer for the clock interrupt, IPIs.
#pragma once

#include <bit>
#include <cstdint>

#include "lab/nt/mm/layout.hpp"

namespace hvp::lab::hal {

/// Maps the registers. Each processor finds its own ones at the same address.
///
/// Where    once, after the page tables are the kernel's own
void map_apic();

/// Whether map_apic has run.
inline constinit bool apic_is_mapped{};

/// Switches the local APIC on with a spurious vector, everything else masked.
///
/// Where    each processor
void initialise_apic();

/// Starts the timer: an interrupt with `vector` after every `ticks` instructions.
void start_clock(std::uint8_t vector, std::uint32_t ticks);

/// EOI: the interrupt in service has been handled.
void end_of_interrupt();

/// Interrupts that wait for their EOI: 32 of the 256 vectors.
/// [SDM 3A 10.8.4 "Interrupt Acceptance for Fixed Interrupts"]
[[nodiscard]] std::uint32_t interrupts_in_service(std::uint32_t number);

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

/// An NMI, which neither the interrupt flag nor the IRQL blocks.
void send_nmi_to_all_others();

}  // namespace hvp::lab::hal
