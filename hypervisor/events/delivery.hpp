// Events for the guest, in the VMCS: injection.hpp decides, and what is here carries it out.
//
// Delivery of an event is memory accesses: IDT, TSS, GDT, the stack. Where one of them causes an
// exit, the event has not arrived, and nothing will bring it again but the VMM.
#pragma once

#include <bit>

#include "hypervisor/events/arbitration.hpp"
#include "hypervisor/vcpu/exit.hpp"

namespace hvp::vmx {

/// An event of an exit as the next VM entry takes it. Bits 30:12 must be 0 there, and bit 12 can be
/// anything in what an exit has reported.
/// [SDM 3C 31.7.1.2 "Resuming Guest Software after Handling an Exception"]
[[nodiscard]] constexpr InterruptionInformation to_inject(const InterruptionInformation& event) {
    return {.vector = event.vector,
            .type = event.type,
            .has_error_code = event.has_error_code,
            .valid = event.valid};
}

/// Whether this exit happened while an event was being delivered.
/// [SDM 3C 24.9.3 "Information for VM Exits That Occur During Event Delivery"]
template <VmcsAccess V>
[[nodiscard]] bool is_during_delivery(const V& vmcs) {
    return vmcs.read(idt_vectoring_information).valid != 0;
}

/// The event whose delivery this exit has interrupted, if there is one. What it has told beside its
/// error code it has told already.  [SDM 3C 27.1 "Architectural State Before a VM Exit"]
template <VmcsAccess V>
[[nodiscard]] Event interrupted_event(const V& vmcs) {
    return {.what = to_inject(vmcs.read(idt_vectoring_information)),
            .error_code = vmcs.read(idt_vectoring_error_code),
            .instruction_length = vmcs.read(exit_instruction_length)};
}

/// The exception that this exit is about. The qualification has a page fault's address, and the
/// causes of a debug exception.  [SDM 3C 27.2.1 "Basic VM-Exit Information"]
template <VmcsAccess V>
[[nodiscard]] Event exception_of_exit(const V& vmcs) {
    return {.what = to_inject(vmcs.read(exit_interruption_information)),
            .error_code = vmcs.read(exit_interruption_error_code),
            .instruction_length = vmcs.read(exit_instruction_length),
            .payload = vmcs.read(exit_qualification)};
}

/// What holds events back now.
template <VmcsAccess V>
[[nodiscard]] GuestBlockingState guest_blocking_state(const V& vmcs) {
    constexpr auto valid = PendingDebug::enabled_breakpoint | PendingDebug::single_step;
    return {.interruptibility = vmcs.read(guest_interruptibility_state),
            .interrupts_enabled = vmcs.read(guest_rflags).has(arch::Rflags::interrupt_enable),
            .activity = vmcs.read(guest_activity_state),
            .debug_exception_pends = !(vmcs.read(guest_pending_debug_exceptions) & valid).empty(),
            .real_mode = !vmcs.read(guest_cr0).has(arch::Cr0::protection_enable)};
}

/// Asks for an exit as soon as the guest can take an NMI.
template <VmcsAccess V>
void open_nmi_window(V& vmcs) {
    vmcs.write(primary_processor_based_controls,
               vmcs.read(primary_processor_based_controls) | PrimaryControl::nmi_window_exiting);
}

/// For after a change of other controls: an NMI that came to the VMM between reading and writing
/// them has opened its window in the old ones.
template <VmcsAccess V>
void keep_nmi_window(Exit<V> exit) {
    if (__atomic_load_n(&exit.processor().pending_nmis, __ATOMIC_RELAXED) != 0) {
        open_nmi_window(exit.vmcs);
    }
}

/// Lets the next VM entry deliver an event, if it would.
///
/// Returns  false: it would refuse, and the guest would be lost without a word about why
template <VmcsAccess V>
[[nodiscard]] bool inject(V& vmcs, const Event& event, const GuestBlockingState& guest) {
    if (broken_rule(event, guest) != InjectionRule::kept) {
        return false;
    }
    vmcs.write(entry_interruption_information, event.what);
    if (event.what.has_error_code != 0) {
        vmcs.write(entry_exception_error_code, event.error_code);
    }
    // The handler returns behind the instruction, so the entry needs its length.
    // [SDM 3C 24.8.3 "VM-Entry Controls for Event Injection"]
    if (is_instruction(event.what)) {
        vmcs.write(entry_instruction_length, event.instruction_length);
    }
    return true;
}

/// Does what the processor does for an exception before it delivers it, and what neither the exit
/// nor the injection does.  [SDM 3C 27.1 "Architectural State Before a VM Exit"],
/// [SDM 3C 26.5.1.1 "Details of Vectored-Event Injection"]
template <VmcsAccess V>
void apply_side_effects(V& vmcs, const Event& event) {
    if (event.is_exception(Vector::page_fault)) {
        arch::write_cr2(event.payload);
    } else if (event.is_exception(Vector::debug)) {
        // The breakpoints that were met are told anew each time, the other causes add up. A debug
        // exception switches off what would disturb its handler: general detect, the record of
        // branches and stops at branches.  [SDM 3A 17.2.3 "Debug Status Register (DR6)"],
        // [SDM 3A 17.4.1 "IA32_DEBUGCTL MSR"]
        using enum arch::Dr6;
        constexpr auto breakpoints = breakpoint_0 | breakpoint_1 | breakpoint_2 | breakpoint_3;
        constexpr auto causes = breakpoints | debug_register_access | single_step;
        const arch::Flags<arch::Dr6> before{arch::read_dr<6>()};
        const arch::Flags<arch::Dr6> met{event.payload};
        arch::write_dr<6>((before.without(breakpoints) | (met & causes)).raw());
        vmcs.write(guest_dr7, vmcs.read(guest_dr7).without(arch::Dr7::general_detect));
        vmcs.write(guest_debugctl, vmcs.read(guest_debugctl)
                                       .without(arch::DebugControl::last_branch_record |
                                                arch::DebugControl::branch_trap));
    }
}

/// Writes for the next VM entry what `decide` has decided.
///
/// Needs    `guest`: what the VMCS says
template <VmcsAccess V>
[[nodiscard]] AfterEvent carry_out(Exit<V> exit, const Decision& decision,
                                   GuestBlockingState guest) {
    V& vmcs = exit.vmcs;
    if (decision.inject.exists() && decision.interruptibility != guest.interruptibility) {
        vmcs.write(guest_interruptibility_state, decision.interruptibility);
    }
    guest.interruptibility = decision.interruptibility;
    if (decision.triple_fault || !inject(vmcs, decision.inject, guest)) {
        exit.processor().guest_stop.why =
            decision.triple_fault ? StopReason::triple_fault : StopReason::event_refused;
        exit.processor().guest_stop.refused_event = decision.inject.what;
        return AfterEvent::stop;
    }
    return AfterEvent::resume;
}

/// Carries out what `decide` says about the exceptions of this exit: `exception`, if there is one,
/// and the event whose delivery it has interrupted. What else waits has its window open already.
template <VmcsAccess V>
[[gnu::noinline]] AfterEvent deliver(Exit<V> exit, const Event& exception) {
    const GuestBlockingState guest = guest_blocking_state(exit.vmcs);
    const Decision decision =
        decide({.interrupted = interrupted_event(exit.vmcs), .exception = exception}, guest);
    apply_side_effects(exit.vmcs, exception);
    return carry_out(exit, decision, guest);
}

/// The RFLAGS image of a fault has RF set, so that the instruction can be tried again without
/// meeting its own code breakpoint. Injection pushes RFLAGS as they are.
/// [SDM 3C 26.5.1.1 "Details of Vectored-Event Injection"]
template <VmcsAccess V>
void set_resume_flag(V& vmcs) {
    vmcs.write(guest_rflags, vmcs.read(guest_rflags) | arch::Rflags::resume);
}

/// Gives the guest the exception that this exit is about. The exit has saved RF as it is to be
/// pushed; Bochs 2.7: as it was before.  [SDM 3C 27.3.3 "Saving RIP, RSP, and RFLAGS"]
template <VmcsAccess V>
[[nodiscard]] AfterEvent reflect_exception(Exit<V> exit) {
    const Event exception = exception_of_exit(exit.vmcs);
    if (is_fault(exception.what)) {
        set_resume_flag(exit.vmcs);
    }
    return deliver(exit, exception);
}

/// What is owed to a guest whose access is going to be tried again: the event whose delivery it
/// belonged to; or the state in which the IRET was that it belonged to.
template <VmcsAccess V>
[[nodiscard]] AfterEvent reinject_interrupted_event(Exit<V> exit, bool nmi_unblocking_by_iret) {
    if (is_during_delivery(exit.vmcs)) {
        return deliver(exit, {});
    }
    if (nmi_unblocking_by_iret) {
        // IRET has ended the blocking of NMIs already, and is going to be executed again.
        exit.vmcs.write(guest_interruptibility_state, exit.vmcs.read(guest_interruptibility_state) |
                                                          Interruptibility::blocking_by_nmi);
    }
    return AfterEvent::resume;
}

/// Gives the guest a fault instead of the instruction's effect. RIP stays at the instruction.
///
/// A fault's RFLAGS image has RF set, so that the instruction can be tried again without meeting
/// its own code breakpoint; the exit has saved RF as 0, and injection pushes RFLAGS as they are.
/// [SDM 3C 27.3.3 "Saving RIP, RSP, and RFLAGS"],
/// [SDM 3C 26.5.1.1 "Details of Vectored-Event Injection"]
template <VmcsAccess V>
[[nodiscard, gnu::noinline, gnu::cold]] Next inject_fault(Exit<V> exit, Vector vector) {
    set_resume_flag(exit.vmcs);
    return deliver(exit, exception_event(vector)) == AfterEvent::resume ? Next::resume : Next::stop;
}

}  // namespace hvp::vmx
