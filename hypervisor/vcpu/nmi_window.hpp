// An exit as soon as the guest can take an NMI.  [SDM 3C 26.6.6 "NMI-Window Exiting"]
#pragma once

#include "hypervisor/vmcs/controls.hpp"
#include "hypervisor/vmcs/fields.hpp"
#include "hypervisor/vmcs/vmcs.hpp"

namespace hvp::vmx {

/// Asks for it.
template <Vmcs V>
void open_nmi_window(V& vmcs) {
    vmcs.write(primary_processor_based_controls,
               vmcs.read(primary_processor_based_controls) | PrimaryControl::nmi_window_exiting);
}

}  // namespace hvp::vmx
