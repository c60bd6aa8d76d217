// Pending NMIs and external interrupts: which of them the next entry delivers, and which windows
// are open for the others.
#pragma once

#include "hypervisor/events/delivery.hpp"

namespace hvp::vmx {

/// No NMI is the VMM's own.
inline constexpr auto none_is_ours = [] { return false; };

/// The NMIs that are pending for the guest, without those that are the VMM's own. Those that came
/// while the VMM ran were counted before anybody could ask whose they are.
///
/// Needs    `is_ours`: whether one NMI was another processor's VMM that wanted this one to look for
///          work, and the guest is not to see it
template <typename IsOurs>
[[nodiscard]] std::uint32_t nmis_of_guest(Exit exit, IsOurs is_ours) {
    std::uint32_t& nmis = exit.processor().pending_nmis;
    std::uint32_t pending = __atomic_load_n(&nmis, __ATOMIC_RELAXED);
    while (pending != 0 && is_ours()) {
        pending = __atomic_sub_fetch(&nmis, 1, __ATOMIC_RELAXED);
    }
    return pending;
}

/// Lets the next entry deliver the most urgent pending event, if the guest can take it. For the
/// rest there is a window: an exit as soon as the guest can. An NMI that comes meanwhile, to the
/// VMM,
/// opens its own before the entry: see entry.S.  [SDM 3C 33.3.3.4 "Generation of Virtual Interrupt Events by VMM"]
///
/// Needs    `is_ours`: as nmis_of_guest
template <typename IsOurs>
[[nodiscard, gnu::noinline]] AfterEvent deliver_pending(Exit exit, IsOurs is_ours) {
    UncheckedVmcs& vmcs = exit.vmcs;
    VirtualProcessor& processor = exit.processor();
    if (processor.machine_check) {
        exit.frame.resume = hvp_enter_guest_after_nmi;  // which looks at it once more
    }
    constexpr auto windows =
        PrimaryControl::interrupt_window_exiting | PrimaryControl::nmi_window_exiting;
    vmcs.write(primary_processor_based_controls,
               vmcs.read(primary_processor_based_controls).without(windows));

    const PendingEvents pending{.interrupted = interrupted_event(vmcs),
                                .nmis = nmis_of_guest(exit, is_ours),
                                .interrupts = processor.interrupt ? 1U : 0U,
                                .interrupt_vector = processor.interrupt.value_or(0)};
    const GuestBlockingState in_vmcs = guest_blocking_state(vmcs);
    GuestBlockingState guest = in_vmcs;
    // A processor whose NMI window is open during blocking by STI delivers NMIs then, and the
    // blocking ends by that. Another one does not come here.
    // [SDM 3C 25.2 "Other Causes of VM Exits"]
    if (pending.nmis != 0 && vmcs.read(exit_reason).basic() == ExitReason::nmi_window) {
        guest.interruptibility = guest.interruptibility.without(Interruptibility::blocking_by_sti);
    }
    const Decision decision = decide(pending, guest);
    if (write_decision(exit, decision, in_vmcs) == AfterEvent::stop) {
        return AfterEvent::stop;
    }
    if (decision.takes_nmi) {
        __atomic_sub_fetch(&processor.pending_nmis, 1, __ATOMIC_RELAXED);
    }
    if (decision.takes_interrupt) {
        processor.interrupt.reset();
        vmcs.write(pin_based_controls,
                   vmcs.read(pin_based_controls) | PinControl::external_interrupt_exiting);
    }
    if (decision.open_interrupt_window) {
        vmcs.write(pin_based_controls,
                   vmcs.read(pin_based_controls).without(PinControl::external_interrupt_exiting));
        vmcs.write(primary_processor_based_controls, vmcs.read(primary_processor_based_controls) |
                                                         PrimaryControl::interrupt_window_exiting);
    }
    if (decision.open_nmi_window) {
        open_nmi_window(vmcs);
    }
    return AfterEvent::resume;
}

}  // namespace hvp::vmx
