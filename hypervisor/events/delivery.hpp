// Events for the guest, in the VMCS: arbitration.hpp decides, and what is here carries it out.
//
// Delivery of an event is memory accesses: IDT, TSS, GDT, the stack. Where one of them causes an
// exit, the event has not arrived, and nothing will bring it again but the VMM.
#pragma once

#include <bit>

#include "hypervisor/events/arbitration.hpp"
#include "hypervisor/vcpu/exit.hpp"
#include "hypervisor/vcpu/nmi_window.hpp"

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
template <Vmcs V>
[[nodiscard]] bool is_during_delivery(const V& vmcs) {
    return vmcs.read(idt_vectoring_information).valid != 0;
}

/// The event whose delivery this exit has interrupted, if there is one. Side effects other than the
/// error code (CR2, DR6) have already happened.
/// [SDM 3C 27.1 "Architectural State Before a VM Exit"]
template <Vmcs V>
[[nodiscard]] Event interrupted_event(const V& vmcs) {
    return {.what = to_inject(vmcs.read(idt_vectoring_information)),
            .error_code = vmcs.read(idt_vectoring_error_code),
            .instruction_length = vmcs.read(exit_instruction_length)};
}

/// The exception that this exit is about. The qualification has a page fault's address, and the
/// causes of a debug exception.  [SDM 3C 27.2.1 "Basic VM-Exit Information"]
template <Vmcs V>
[[nodiscard]] Event exception_of_exit(const V& vmcs) {
    return {.what = to_inject(vmcs.read(exit_interruption_information)),
            .error_code = vmcs.read(exit_interruption_error_code),
            .instruction_length = vmcs.read(exit_instruction_length),
            .payload = vmcs.read(exit_qualification)};
}

/// What holds events back now.
template <Vmcs V>
[[nodiscard]] GuestBlockingState guest_blocking_state(const V& vmcs) {
    constexpr auto valid = PendingDebug::enabled_breakpoint | PendingDebug::single_step;
    return {.interruptibility = vmcs.read(guest_interruptibility_state),
            .interrupts_enabled = vmcs.read(guest_rflags).has(arch::Rflags::interrupt_enable),
            .activity = vmcs.read(guest_activity_state),
            .debug_exception_pends = !(vmcs.read(guest_pending_debug_exceptions) & valid).empty(),
            .real_mode = !vmcs.read(guest_cr0).has(arch::Cr0::protection_enable)};
}

/// Lets the next VM entry deliver an event, if it would.
///
/// Returns  false: it would refuse, and the guest would be lost without a word about why
template <Vmcs V>
[[nodiscard]] bool inject(V& vmcs, const Event& event, const GuestBlockingState& guest) {
    if (broken_rule(event, guest) != InjectionRule::kept) {
        return false;
    }
    vmcs.write(entry_interruption_information, event.what);
    if (event.what.has_error_code != 0) {
        vmcs.write(entry_exception_error_code, event.error_code);
    }
    // The handler returns to the next instruction, so the entry needs the length of this one.
    // [SDM 3C 24.8.3 "VM-Entry Controls for Event Injection"]
    if (is_instruction(event.what)) {
        vmcs.write(entry_instruction_length, event.instruction_length);
    }
    return true;
}

/// Does what the processor does for an exception before it delivers it, and what neither the exit
/// nor the injection does.  [SDM 3C 27.1 "Architectural State Before a VM Exit"],
/// [SDM 3C 26.5.1.1 "Details of Vectored-Event Injection"]
template <Vmcs V>
void apply_side_effects(V& vmcs, const Event& event) {
    if (event.is_exception(Vector::page_fault)) {
        arch::write_cr2(event.payload);
    } else if (event.is_exception(Vector::debug)) {
        // The breakpoints that were met replace the earlier ones, the other causes add up. A debug
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
[[nodiscard]] inline AfterEvent write_decision(Exit exit, const Decision& decision,
                                               GuestBlockingState guest) {
    UncheckedVmcs& vmcs = exit.vmcs;
    if (decision.inject.exists() && decision.interruptibility != guest.interruptibility) {
        vmcs.write(guest_interruptibility_state, decision.interruptibility);
    }
    guest.interruptibility = decision.interruptibility;
    guest.any_error_code = exit.processor().any_error_code;
    if (decision.triple_fault || !inject(vmcs, decision.inject, guest)) {
        exit.processor().guest_stop.why =
            decision.triple_fault ? StopReason::triple_fault : StopReason::event_refused;
        exit.processor().guest_stop.refused_event = decision.inject.what;
        return AfterEvent::stop;
    }
    return AfterEvent::resume;
}

/// Carries out what `decide` says about the exceptions of this exit: `exception`, if there is one,
/// and the event whose delivery it has interrupted. What else is pending has its window open
/// already.
[[gnu::noinline]] inline AfterEvent deliver(Exit exit, const Event& exception) {
    const GuestBlockingState guest = guest_blocking_state(exit.vmcs);
    const Decision decision =
        decide({.interrupted = interrupted_event(exit.vmcs), .exception = exception}, guest);
    apply_side_effects(exit.vmcs, exception);
    return write_decision(exit, decision, guest);
}

/// The RFLAGS image of a fault has RF set, so that the instruction can be tried again without
/// meeting its own code breakpoint. Injection pushes RFLAGS as they are.
/// [SDM 3C 26.5.1.1 "Details of Vectored-Event Injection"]
template <Vmcs V>
void set_resume_flag(V& vmcs) {
    vmcs.write(guest_rflags, vmcs.read(guest_rflags) | arch::Rflags::resume);
}

/// Gives the guest the exception that this exit is about. The exit has saved RF as it is to be
/// pushed; Bochs 2.7: as it was before.  [SDM 3C 27.3.3 "Saving RIP, RSP, and RFLAGS"]
[[nodiscard]] inline AfterEvent reflect_exception(Exit exit) {
    const Event exception = exception_of_exit(exit.vmcs);
    if (is_fault(exception.what)) {
        set_resume_flag(exit.vmcs);
    }
    return deliver(exit, exception);
}

/// For a guest whose access is going to be tried again: the event whose delivery the access
/// belonged to is injected again; or the blocking by NMI is restored that the access's IRET has
/// ended.
[[nodiscard]] inline AfterEvent reinject_interrupted_event(Exit exit, bool nmi_unblocking_by_iret) {
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
///
/// There is nothing to decide: a guest that executes an instruction is active, no exception is held
/// back by what blocks interrupts, and an exit by an instruction has interrupted no delivery.
/// [SDM 3C 26.3.1.5 "Checks on Guest Non-Register State"]
///
/// Needs    an exit by an instruction; a vector other than those of #PF and #DB, which say more
inline Next inject_fault(Exit exit, Vector vector) {
    set_resume_flag(exit.vmcs);
    InterruptionInformation event = exception(vector);
    if (event.has_error_code != 0) {
        // [SDM 3C 26.5.1.3 "Event Injection for VM Entries to Real-Address Mode"]
        event.has_error_code =
            exit.vmcs.read(guest_cr0).has(arch::Cr0::protection_enable) ? 1U : 0U;
        exit.vmcs.write(entry_exception_error_code, 0);
    }
    exit.vmcs.write(entry_interruption_information, event);
    return Next::resume;
}

}  // namespace hvp::vmx
