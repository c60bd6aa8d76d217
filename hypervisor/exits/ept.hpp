// EPT violations and misconfigurations: the guest has used a guest-physical address that its EPT
// does not map, or not for that; or the EPT itself is wrong.
//
// Neither comes from an instruction that was executed: RIP points to one that has not been, the
// instruction length means nothing, and RIP stays. The access is tried again.
// [SDM 3C 27.2.4 "Information for VM Exits Due to Instruction Execution"]
#pragma once

#include <bit>

#include "hypervisor/exits/single_step.hpp"
#include "hypervisor/vmcs/exit_qualification.hpp"

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

/// The stage decides. An event whose delivery met the violation is delivered anew.
template <VmcsAccess V>
AfterEvent on_ept_violation(Exit<V> exit) {
    const ept::GuestMemoryEvent event = guest_memory_event(exit, false);
    const StageHooks& hooks = exit.processor().hooks;
    const AfterViolation answer = hooks.on_ept_violation == nullptr
                                      ? AfterViolation{}
                                      : hooks.on_ept_violation(hooks.stage, event);
    if (!answer.goes_on) {
        exit.processor().guest_stop.why = StopReason::outside_memory;
        exit.processor().guest_stop.memory = event;
        return AfterEvent::stop;
    }
    if (answer.ept) {
        exit.vmcs.write(ept_pointer, *answer.ept);
    }
    const AfterEvent next =
        reinject_interrupted_event(exit, event.qualification.nmi_unblocking_by_iret != 0);
    if (next == AfterEvent::resume && answer.for_one_instruction) {
        begin_step(exit);
    }
    return next;
}

/// The log of written pages has no place left, and the access that wanted one has not happened. The
/// stage takes what there is, and the processor begins anew at the end of the page.
/// [SDM 3C 28.2.5 "Page-Modification Logging"]
template <VmcsAccess V>
AfterEvent on_page_modification_log_full(Exit<V> exit) {
    const StageHooks& hooks = exit.processor().hooks;
    if (hooks.on_log_full == nullptr) {
        exit.processor().guest_stop.why = StopReason::unhandled_exit;
        return AfterEvent::stop;
    }
    hooks.on_log_full(hooks.stage);
    exit.vmcs.write(guest_pml_index, last_pml_index);
    return reinject_interrupted_event(
        exit, (exit.vmcs.read(exit_qualification) & nmi_unblocking_by_iret) != 0);
}

/// Our tables are wrong. Nothing that the guest could do would change that.
/// [SDM 3C 28.2.3.1 "EPT Misconfigurations"]
template <VmcsAccess V>
AfterEvent on_ept_misconfiguration(Exit<V> exit) {
    exit.processor().guest_stop.why = StopReason::ept_misconfigured;
    exit.processor().guest_stop.memory = guest_memory_event(exit, true);
    return AfterEvent::stop;
}

}  // namespace hvp::vmx
