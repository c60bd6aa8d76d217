// Departure: a guest that is a running system is left, and goes on without us.
//
// A guest that is a function is left by going back to the stack that launched it (hvp_leave_vmm).
// That drops what the guest was doing. Where interrupts are on in the guest, it may have been doing
// the host system's work: in the middle of an interrupt's handler, with a lock held, with the local
// APIC waiting for an EOI. Dropped, that processor is lost.
//
// So we do the opposite: the VMM drops itself. The processor leaves VMX operation and is given the
// guest's state, as the VMCS has it at this moment: the next instruction that it executes is the
// guest's next one. What was pending for the guest, the local APIC gets.
//
// Three things a processor can be in the middle of, and no instruction brings it back there:
//
// - Blocking by STI or MOV SS. It ends with the instruction after these, and what we end with,
//   IRETQ or a jump, is that instruction: an interrupt may come before the guest's. Where that is
//   HLT, it then sleeps until the next interrupt.
//   [SDM 3A 6.8.3 "Masking Exceptions and Interrupts When Switching Stacks"]
// - A pending debug exception. VM entry has a field for it, and a processor outside VMX operation
//   has none: it is lost. With RFLAGS.TF the next instruction reports a single step.
//   [SDM 3C 26.6.3 "Delivery of Pending Debug Exceptions after VM Entry"]
// - Blocking by NMI, in the guest's handler of one. Virtual NMIs block none of the processor's, and
//   only the delivery of an NMI does. Those that we have counted wait until the guest's function
//   ends; one that a device sends meanwhile interrupts the handler, on the stack that this uses.
//   [SDM 3A 6.7.1 "Handling Multiple NMIs"]
#pragma once

#include "hypervisor/vcpu/virtual_processor.hpp"

namespace hvp::vmx {

/// For VmmFrame::leave. Left as a function all the same are a guest that has asked to be stopped,
/// or that was calling the VMM with interrupts off; one whose state VM entry has refused; and one
/// that is not in IA-32e mode.
[[clang::preserve_none]] void depart(VmmFrame* frame);

/// Ends, after a departure, the function that the guest was: what launched it goes on.
///
/// Where    the guest's code, after `VirtualProcessor::departed`; interrupts off
extern "C" [[noreturn]] void hvp_end_departed_guest(VmmFrame* frame);

/// Notes the interrupt, NMI or machine check that has not arrived in the guest although it is the
/// guest's: its delivery has caused the last exit, or the next entry would have delivered it.
///
/// Where    after the guest's last exit, its VMCS current
void keep_undelivered(VirtualProcessor& processor);

/// Gives the host system the interrupt that the guest did not take: the local APIC gets it back.
///
/// Where    outside VMX operation, all tables the host system's, interrupts off
void hand_over_interrupt(VirtualProcessor& processor);

/// Gives the host system the NMIs that were pending for its guest. One at a time, as a processor
/// without a VMM remembers one at most while it handles another.
///
/// Where    outside VMX operation, all tables the host system's
void hand_over_nmis(VirtualProcessor& processor);

/// Calls the host system's handler of machine checks, if one came that its guest has not got:
/// through its own gate, as the processor would have. IA32_MCG_STATUS and the banks are as they
/// were.
///
/// Where    as hand_over_nmis
void hand_over_machine_check(VirtualProcessor& processor);

}  // namespace hvp::vmx
