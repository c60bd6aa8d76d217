// An exit as soon as the guest can take an NMI.  [SDM 3C 26.6.6 "NMI-Window Exiting"]
#pragma once

#include "hypervisor/vcpu/exit.hpp"

namespace hvp::vmx {

/// Asks for it.
template <Vmcs V>
void open_nmi_window(V& vmcs) {
    vmcs.write(primary_processor_based_controls,
               vmcs.read(primary_processor_based_controls) | PrimaryControl::nmi_window_exiting);
}

/// For after a change of other controls: an NMI that came to the VMM between reading and writing
/// them has opened its window in the old ones.
inline void keep_nmi_window(Exit exit) {
    if (__atomic_load_n(&exit.processor().pending_nmis, __ATOMIC_RELAXED) != 0) {
        open_nmi_window(exit.vmcs);
    }
}

}  // namespace hvp::vmx
