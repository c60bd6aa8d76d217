// EPT violations and misconfigurations: the guest has used a guest-physical address that its EPT
// does not map, or not for that; or the EPT itself is wrong.
//
// Neither comes from an instruction that was executed: RIP points to one that has not been, the
// instruction length means nothing, and RIP stays. The access is tried again.
// [SDM 3C 27.2.4 "Information for VM Exits Due to Instruction Execution"]
#pragma once

#include <bit>

#include "hypervisor/vmx/exit.hpp"

namespace hvp::vmx {

/// What the VMCS says about it.
template <VmcsAccess V>
[[nodiscard]] ept::GuestMemoryEvent guest_memory_event(Exit<V> exit, bool is_misconfiguration) {
    // A misconfiguration has no qualification and no linear address.
    // [SDM 3C 27.2.1 "Basic VM-Exit Information"]
    ept::GuestMemoryEvent event{.guest_physical = exit.vmcs.read(guest_physical_address),
                                .guest_rip = exit.vmcs.read(guest_rip),
                                .is_misconfiguration = is_misconfiguration};
    if (!is_misconfiguration) {
        event.qualification =
            std::bit_cast<ept::ViolationQualification>(exit.vmcs.read(exit_qualification));
        if (event.qualification.linear_address_valid != 0) {
            event.guest_linear = exit.vmcs.read(guest_linear_address);
        }
    }
    return event;
}

/// The stage decides. An event whose delivery met the violation would be lost if the guest went on
/// without it, and no stage so far delivers it anew: such a guest ends.
/// [SDM 3C 24.9.3 "Information for VM Exits That Occur During Event Delivery"]
template <VmcsAccess V>
AfterEvent on_ept_violation(Exit<V> exit) {
    const ept::GuestMemoryEvent event = guest_memory_event(exit, false);
    const StageHooks& hooks = exit.processor().hooks;
    const bool during_delivery = exit.vmcs.read(idt_vectoring_information).valid != 0;
    if (!during_delivery && hooks.on_ept_violation != nullptr &&
        hooks.on_ept_violation(hooks.stage, event)) {
        // IRET has ended the blocking of NMIs already, and is going to be executed again.
        // [SDM 3C 31.7.1.2 "Resuming Guest Software after Handling an Exception"]
        if (event.qualification.nmi_unblocking_by_iret != 0) {
            exit.vmcs.write(
                guest_interruptibility_state,
                exit.vmcs.read(guest_interruptibility_state) | Interruptibility::blocking_by_nmi);
        }
        return AfterEvent::resume;
    }
    exit.processor().ending.end = during_delivery ? End::unhandled_detail : End::outside_memory;
    exit.processor().ending.memory = event;
    return AfterEvent::stop;
}

/// Our tables are wrong. Nothing that the guest could do would change that.
/// [SDM 3C 28.2.3.1 "EPT Misconfigurations"]
template <VmcsAccess V>
AfterEvent on_ept_misconfiguration(Exit<V> exit) {
    exit.processor().ending.end = End::ept_misconfigured;
    exit.processor().ending.memory = guest_memory_event(exit, true);
    return AfterEvent::stop;
}

}  // namespace hvp::vmx
