// External interrupts, for a VMM that takes them away from its guest to give them back: see
// interrupt_setup.hpp. The guest's handlers serve them, and write EOI, as they would without
// a VMM.
//
// The exit acknowledges the interrupt. For the local APIC it is in service from then on: it is not
// told again, and until somebody writes EOI nothing of the same or of a lower priority class comes
// through. Who writes EOI is the guest's handler; so a vector that were forgotten would be more
// than one lost interrupt. [SDM 3A 10.8.4 "Interrupt Acceptance for Fixed Interrupts"]
//
// But the guest may have interrupts off, and then the vector has to wait, here. One is enough, as
// interrupts do not exit while one waits: the others wait in the local APIC, which puts them in
// order, and makes one of two equal ones, as it would without us. They cannot slip by into the
// guest either: as soon as it has interrupts on, the exit of the interrupt window comes first.
// [SDM 3C 26.6.5 "Interrupt-Window Exiting and Virtual-Interrupt Delivery"]
//
// What is not as without a VMM: a handler that runs meanwhile, and writes EOI, ends the service of
// the one that waits, as that one is more urgent, and later it is the other way round. Each EOI
// ends one service, so the sum is right. And if the guest raises its CR8 before it switches
// interrupts on, what waits comes all the same. To be exact in these two a VMM needs a virtual
// APIC. [SDM 3A 10.8.5 "Signaling Interrupt Servicing Completion"]
#pragma once

#include "hypervisor/events/pending.hpp"

namespace hvp::vmx {

/// The exit has acknowledged the interrupt, and has its vector. It may come although the guest has
/// interrupts off: RFLAGS.IF does not hold these exits back, so the guest's blocking is for us to
/// keep. One that halts need not be woken: the entry that injects leaves the HLT state, any other
/// goes back to it.  [SDM 3C 25.4.1 "Event Blocking"], [SDM 3C 26.6.2 "Activity State"],
/// [SDM 3C 33.3.3.2 "Processor Treatment of External Interrupt"]
template <VmcsAccess V>
AfterEvent on_external_interrupt(Exit<V> exit) {
    const InterruptionInformation event = exit.vmcs.read(exit_interruption_information);
    if (!event.is(EventType::external_interrupt)) {
        // Not acknowledged, so it would cause this exit for ever.
        exit.processor().guest_stop.why = StopReason::unhandled_detail;
        return AfterEvent::stop;
    }
    exit.processor().interrupt = static_cast<std::uint8_t>(event.vector);
    return deliver_pending(exit);
}

/// The guest can take an interrupt, or an NMI, now.
/// [SDM 3C 26.6.5 "Interrupt-Window Exiting and Virtual-Interrupt Delivery"],
/// [SDM 3C 26.6.6 "NMI-Window Exiting"]
template <VmcsAccess V>
AfterEvent on_window(Exit<V> exit) {
    return deliver_pending(exit);
}

}  // namespace hvp::vmx
