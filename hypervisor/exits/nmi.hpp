// NMIs: they belong to the guest, whenever they come.
//
// One that comes while the guest runs causes an exit and is injected. One that comes while the VMM
// runs meets the VMM's IDT (host_traps.cpp): it is counted, and "NMI-window exiting" is switched
// on, so that there is an exit as soon as the guest can take it. We do the same where the guest
// cannot take an NMI at once.  [SDM 3C 26.6.6 "NMI-Window Exiting"]
#pragma once

#include "hypervisor/events/pending.hpp"

namespace hvp::vmx {

/// An exception that exits, as a stage has set its bit in the exception bitmap, is still the
/// guest's.
///
/// The exit of an NMI has blocked NMIs; we end that here, as an operating system does at the end of
/// its NMI handler. VM entry would do it, too, where "virtual NMIs" is 1. Bochs 2.7: it does not,
/// and there would be one NMI and never another. [SDM 3C 27.5.5 "Updating Non-Register State"],
/// [SDM 3C 26.6.1 "Interruptibility State"]
template <typename IsOurs>
AfterEvent answer_exception_or_nmi(Exit exit, IsOurs is_ours) {
    const InterruptionInformation event = exit.vmcs.read(exit_interruption_information);
    if (!event.is(EventType::nmi)) {
        return reflect_exception(exit);
    }
    if (!is_ours()) {
        __atomic_add_fetch(&exit.processor().pending_nmis, 1, __ATOMIC_RELAXED);
        open_nmi_window(exit.vmcs);
    }
    arch::end_nmi_blocking();
    return AfterEvent::resume;
}
inline AfterEvent on_exception_or_nmi(Exit exit) {
    return answer_exception_or_nmi(exit, none_is_ours);
}

}  // namespace hvp::vmx
