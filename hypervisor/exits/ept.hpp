// EPT violations and misconfigurations: the guest has used a guest-physical address that its EPT
// does not map, or not for that; or the EPT itself is wrong.
//
// Neither comes from an instruction that was executed: RIP points to one that has not been, the
// instruction length means nothing, and RIP stays. The access is tried again.
// [SDM 3C 27.2.4 "Information for VM Exits Due to Instruction Execution"]
#pragma once

#include <bit>
#include <optional>

#include "hypervisor/exits/single_step.hpp"
#include "hypervisor/vmcs/exit_qualification.hpp"

namespace hvp::vmx {

/// What the VMCS says about it.
[[nodiscard]] inline ept::GuestMemoryEvent guest_memory_event(Exit exit, bool is_misconfiguration) {
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

/// How a guest goes on after an EPT violation.
struct AfterViolation {
    bool goes_on{};  ///< and tries the access again; false: this was the guest's end
    /// This processor's guest has this EPT from now on. Another EPT pointer is another context:
    /// what the processor remembers of the EPT before is not used, and nothing need be invalidated.
    /// [SDM 3C 28.3.2 "Creating and Using Cached Translation Information"]
    std::optional<ept::Pointer> ept{};
    bool for_one_instruction{};  ///< then the table's handler of a step's end chooses the EPT
};

/// The end of a guest whose access nobody allows.
[[nodiscard, gnu::noinline, gnu::cold]] inline AfterEvent refuse_access(
    Exit exit, const ept::GuestMemoryEvent& event) {
    exit.processor().guest_stop.memory = event;
    return exit.stop_after_event(event.is_misconfiguration ? StopReason::ept_misconfigured
                                                           : StopReason::outside_memory);
}

/// What a stage's handler of EPT violations ends with. An event whose delivery met the violation is
/// injected again.
[[nodiscard, gnu::always_inline]] inline AfterEvent after_violation(
    Exit exit, const ept::GuestMemoryEvent& event, const AfterViolation& answer) {
    if (!answer.goes_on) {
        return refuse_access(exit, event);
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

/// Without a stage's handler no access goes beyond what the EPT allows.
inline AfterEvent on_ept_violation(Exit exit) {
    return refuse_access(exit, guest_memory_event(exit, false));
}

/// What a stage's handler of a full page-modification log ends with, when it has taken what there
/// is: the processor begins again at the end of the page. The access that wanted an entry has not
/// happened.  [SDM 3C 28.2.5 "Page-Modification Logging"]
[[nodiscard]] inline AfterEvent restart_page_modification_log(Exit exit) {
    exit.vmcs.write(guest_pml_index, last_pml_index);
    return reinject_interrupted_event(
        exit, (exit.vmcs.read(exit_qualification) & nmi_unblocking_by_iret) != 0);
}

/// Our tables are wrong. Nothing that the guest could do would change that.
/// [SDM 3C 28.2.3.1 "EPT Misconfigurations"]
inline AfterEvent on_ept_misconfiguration(Exit exit) {
    return refuse_access(exit, guest_memory_event(exit, true));
}

}  // namespace hvp::vmx
