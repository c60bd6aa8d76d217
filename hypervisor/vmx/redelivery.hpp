// Events that must not get lost: one whose delivery was interrupted by a VM exit, and an exception
// that the VMM has caught only in passing.
//
// Delivery of an event is memory accesses: IDT, TSS, GDT, the stack. Where one of them causes an
// exit, the event has not arrived, and nothing will bring it again but the VMM.
#pragma once

#include <bit>

#include "hypervisor/vmx/exit.hpp"

namespace hvp::vmx {

/// An event as the next VM entry takes it. Bits 30:12 must be 0 there, and bit 12 can be anything
/// in what an exit has reported.  [SDM 3C 31.7.1.2 "Resuming Guest Software after Handling an
/// Exception"]
[[nodiscard]] constexpr InterruptionInformation to_inject(const InterruptionInformation& event) {
    return {.vector = event.vector,
            .type = event.type,
            .has_error_code = event.has_error_code,
            .valid = 1};
}

/// Lets the next VM entry deliver an event.
template <VmcsAccess V>
void inject(V& vmcs, const InterruptionInformation& event, std::uint32_t error_code) {
    vmcs.write(entry_interruption_information, to_inject(event));
    if (event.has_error_code != 0) {
        vmcs.write(entry_exception_error_code, error_code);
    }
    // An INT n, INT1, INT3 or INTO: the handler returns behind the instruction, so the entry needs
    // its length; the exit has told it.
    // [SDM 3C 24.8.3 "VM-Entry Controls for Event Injection"]
    if (event.is(EventType::software_interrupt) ||
        event.is(EventType::privileged_software_exception) ||
        event.is(EventType::software_exception)) {
        vmcs.write(entry_instruction_length, vmcs.read(exit_instruction_length));
    }
    // An NMI that was being delivered blocks NMIs already, and the entry that delivers it anew
    // wants to be the one who does so.  [SDM 3C 26.3.1.5 "Checks on Guest Non-Register State"]
    if (event.is(EventType::nmi)) {
        vmcs.write(
            guest_interruptibility_state,
            vmcs.read(guest_interruptibility_state).without(Interruptibility::blocking_by_nmi));
    }
}

/// Whether this exit happened while an event was being delivered.
/// [SDM 3C 24.9.3 "Information for VM Exits That Occur During Event Delivery"]
template <VmcsAccess V>
[[nodiscard]] bool is_during_delivery(const V& vmcs) {
    return vmcs.read(idt_vectoring_information).valid != 0;
}

/// What is owed to a guest whose access is going to be tried again: the event whose delivery it
/// belonged to; or the state in which the IRET was that it belonged to.
template <VmcsAccess V>
void deliver_again(V& vmcs, bool nmi_unblocking_by_iret) {
    if (is_during_delivery(vmcs)) {
        inject(vmcs, vmcs.read(idt_vectoring_information), vmcs.read(idt_vectoring_error_code));
    } else if (nmi_unblocking_by_iret) {
        // IRET has ended the blocking of NMIs already, and is going to be executed again.
        vmcs.write(guest_interruptibility_state,
                   vmcs.read(guest_interruptibility_state) | Interruptibility::blocking_by_nmi);
    }
}

/// Gives the guest the exception that this exit is about.
///
/// The processor delivers a page fault by writing CR2 first; an exit leaves CR2 alone and tells the
/// address in its qualification. For what was being delivered when the exception came: a software
/// interrupt is executed again after the handler, and then comes again.
/// [SDM 3C 31.7.1.1 "Reflecting Exceptions to Guest Software"], [SDM 3C 27.1 "Architectural State
/// Before a VM Exit"]
template <VmcsAccess V>
void reflect_exception(V& vmcs) {
    const InterruptionInformation event = vmcs.read(exit_interruption_information);
    if (event.vector == static_cast<std::uint32_t>(Vector::page_fault)) {
        arch::write_cr2(vmcs.read(exit_qualification));
    }
    inject(vmcs, event, vmcs.read(exit_interruption_error_code));
}

}  // namespace hvp::vmx
