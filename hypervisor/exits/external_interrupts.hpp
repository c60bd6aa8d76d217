// External interrupts, for a VMM that takes them away from its guest to inject them: see
// interrupt_setup.hpp. The guest's handlers serve them, and write EOI, as they would without a VMM.
//
// The exit acknowledges the interrupt: the local APIC moves its vector from IRR to ISR, and until
// an EOI clears that bit it delivers nothing of the same or of a lower priority class. The guest's
// handler writes the EOI; so a vector that were lost would be more than one lost interrupt.
// [SDM 3A 10.8.4 "Interrupt Acceptance for Fixed Interrupts"]
//
// But the guest may have interrupts off. We keep one pending vector; later ones stay in the APIC's
// IRR, which orders them and merges duplicates, as it would without us, for interrupts do not exit
// while one is pending. They cannot bypass it: as soon as the guest has interrupts on, the exit of
// the interrupt window comes first.
// [SDM 3C 26.6.5 "Interrupt-Window Exiting and Virtual-Interrupt Delivery"]
//
// Two things differ from a processor without a VMM. A handler that was running when the interrupt
// was acknowledged writes its EOI while two ISR bits are set: the EOI clears the bit of the pending
// vector, which has the higher priority, and the EOI of the pending vector's handler later clears
// the other. The number of EOIs matches. And if the guest raises CR8 before it switches interrupts
// on, the pending vector is delivered all the same. To be exact in these two a VMM needs a virtual
// APIC. [SDM 3A 10.8.5 "Signaling Interrupt Servicing Completion"]
#pragma once

#include "hypervisor/events/pending.hpp"

namespace hvp::vmx {

/// The exit has acknowledged the interrupt, and has its vector. It may come although the guest has
/// interrupts off: RFLAGS.IF does not hold these exits back, so the guest's blocking is for us to
/// keep. One that halts need not be woken: the entry that injects leaves the HLT state, any other
/// goes back to it.  [SDM 3C 25.4.1 "Event Blocking"], [SDM 3C 26.6.2 "Activity State"],
/// [SDM 3C 33.3.3.2 "Processor Treatment of External Interrupt"]
template <typename IsOurs>
AfterEvent answer_external_interrupt(Exit exit, IsOurs is_ours) {
    const InterruptionInformation event = exit.vmcs.read(exit_interruption_information);
    if (!event.is(EventType::external_interrupt)) {
        // Not acknowledged, so it would cause this exit for ever.
        return exit.stop_after_event(StopReason::unhandled_detail);
    }
    exit.processor().interrupt = static_cast<std::uint8_t>(event.vector);
    return deliver_pending(exit, is_ours);
}
inline AfterEvent on_external_interrupt(Exit exit) {
    return answer_external_interrupt(exit, none_is_ours);
}

/// The guest can take an interrupt, or an NMI, now.
/// [SDM 3C 26.6.5 "Interrupt-Window Exiting and Virtual-Interrupt Delivery"],
/// [SDM 3C 26.6.6 "NMI-Window Exiting"]
template <typename IsOurs>
AfterEvent answer_window(Exit exit, IsOurs is_ours) {
    return deliver_pending(exit, is_ours);
}
inline AfterEvent on_window(Exit exit) {
    return answer_window(exit, none_is_ours);
}

}  // namespace hvp::vmx
