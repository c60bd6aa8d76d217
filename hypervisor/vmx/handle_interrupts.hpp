// External interrupts, for a VMM that takes them away from its guest to give them back: see
// enable_interrupt_exiting (interrupt_setup.hpp). The guest's handlers serve them, as they would
// without a VMM.
#pragma once

#include "hypervisor/vmx/deliver_waiting.hpp"

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
        exit.processor().ending.end = End::unhandled_detail;
        return AfterEvent::stop;
    }
    exit.processor().interrupts.add(static_cast<std::uint8_t>(event.vector));
    return deliver_waiting(exit);
}

/// The guest can take an interrupt, or an NMI, now.
/// [SDM 3C 26.6.5 "Interrupt-Window Exiting and Virtual-Interrupt Delivery"],
/// [SDM 3C 26.6.6 "NMI-Window Exiting"]
template <VmcsAccess V>
AfterEvent on_window(Exit<V> exit) {
    return deliver_waiting(exit);
}

}  // namespace hvp::vmx
