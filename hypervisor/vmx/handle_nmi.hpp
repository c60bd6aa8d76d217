// NMIs: they belong to the guest, whenever they come.
//
// One that comes while the guest runs causes an exit and is injected. One that comes while the VMM
// runs meets the VMM's IDT (host_traps.cpp): it is counted, and "NMI-window exiting" is switched
// on, so that there is an exit as soon as the guest can take it. We do the same where the guest
// cannot take an NMI at once.  [SDM 3C 26.6.6 "NMI-Window Exiting"]
#pragma once

#include <bit>

#include "hypervisor/vmx/exit.hpp"

namespace hvp::vmx {

/// Asks for an exit as soon as the guest can take an NMI.
template <VmcsAccess V>
void open_nmi_window(V& vmcs) {
    vmcs.write(primary_processor_based_controls,
               vmcs.read(primary_processor_based_controls) | PrimaryControl::nmi_window_exiting);
}

/// The exception bitmap is 0, so it is an NMI. This exit has blocked NMIs; we end that here, as an
/// operating system does at the end of its NMI handler. VM entry would do it, too, where "virtual
/// NMIs" is 1. Bochs 2.7: it does not, and there would be one NMI and never another.
/// [SDM 3C 27.5.5 "Updating Non-Register State"], [SDM 3C 26.6.1 "Interruptibility State"]
template <VmcsAccess V>
AfterEvent on_exception_or_nmi(Exit<V> exit) {
    const InterruptionInformation event = exit.vmcs.read(exit_interruption_information);
    if (!event.is(EventType::nmi)) {
        exit.processor().ending.end = End::unhandled_detail;
        return AfterEvent::stop;
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
    exit.vmcs.write(primary_processor_based_controls,
                    exit.vmcs.read(primary_processor_based_controls)
                        .without(PrimaryControl::nmi_window_exiting));
    if (__atomic_load_n(&exit.processor().nmis_waiting, __ATOMIC_RELAXED) == 0) {
        return AfterEvent::resume;
    }
    // One that came while the VMM ran was counted before anybody could ask whose it is.
    if (!exit.processor().hooks.takes_nmi()) {
        exit.vmcs.write(entry_interruption_information, injected_nmi);
    }
    if (__atomic_sub_fetch(&exit.processor().nmis_waiting, 1, __ATOMIC_RELAXED) != 0) {
        open_nmi_window(exit.vmcs);
    }
    return AfterEvent::resume;
}

}  // namespace hvp::vmx
