// NMIs: they belong to the guest, whenever they come.
//
// One that comes while the guest runs causes an exit and is injected. One that comes while the VMM
// runs meets the VMM's IDT (host_traps.cpp): it is counted, and "NMI-window exiting" is switched
// on, so that there is an exit as soon as the guest can take it. We do the same where the guest
// cannot take an NMI at once.  [SDM 3C 26.6.6 "NMI-Window Exiting"]
#pragma once

#include <bit>

#include "hypervisor/vmx/deliver.hpp"

namespace hvp::vmx {

/// An exception that exits, as a stage has set its bit in the exception bitmap, is still the
/// guest's.
///
/// The exit of an NMI has blocked NMIs; we end that here, as an operating system does at the end of
/// its NMI handler. VM entry would do it, too, where "virtual NMIs" is 1. Bochs 2.7: it does not,
/// and there would be one NMI and never another. [SDM 3C 27.5.5 "Updating Non-Register State"],
/// [SDM 3C 26.6.1 "Interruptibility State"]
template <VmcsAccess V>
AfterEvent on_exception_or_nmi(Exit<V> exit) {
    const InterruptionInformation event = exit.vmcs.read(exit_interruption_information);
    if (!event.is(EventType::nmi)) {
        return reflect_exception(exit);
    }
    if (!exit.processor().hooks.takes_nmi()) {
        __atomic_add_fetch(&exit.processor().nmis_waiting, 1, __ATOMIC_RELAXED);
        open_nmi_window(exit.vmcs);
    }
    arch::end_nmi_blocking();
    return AfterEvent::resume;
}

/// The guest can take an NMI now. The window is closed before one is taken, and opened again if
/// there are more: an NMI that comes in between, to the VMM, opens it by itself.
template <VmcsAccess V>
AfterEvent on_nmi_window(Exit<V> exit) {
    std::uint32_t& nmis = exit.processor().nmis_waiting;
    exit.vmcs.write(primary_processor_based_controls,
                    exit.vmcs.read(primary_processor_based_controls)
                        .without(PrimaryControl::nmi_window_exiting));
    std::uint32_t waiting = __atomic_load_n(&nmis, __ATOMIC_RELAXED);
    // Those that came while the VMM ran were counted before anybody could ask whose they are.
    while (waiting != 0 && exit.processor().hooks.takes_nmi()) {
        waiting = __atomic_sub_fetch(&nmis, 1, __ATOMIC_RELAXED);
    }
    Blocking guest = blocking_of(exit.vmcs);
    // A processor whose window is open during blocking by STI delivers NMIs then, and the blocking
    // ends by that. Another one is not here.  [SDM 3C 25.2 "Other Causes of VM Exits"]
    guest.interruptibility = guest.interruptibility.without(Interruptibility::blocking_by_sti);
    const Decision decision = decide({.nmis = waiting}, guest);
    if (decision.takes_nmi) {
        exit.vmcs.write(guest_interruptibility_state, decision.interruptibility);
        if (!inject(exit.vmcs, decision.inject, guest)) {
            exit.processor().ending.end = End::event_refused;
            return AfterEvent::stop;
        }
        __atomic_sub_fetch(&nmis, 1, __ATOMIC_RELAXED);
    }
    if (decision.open_nmi_window) {
        open_nmi_window(exit.vmcs);
    }
    return AfterEvent::resume;
}

}  // namespace hvp::vmx
