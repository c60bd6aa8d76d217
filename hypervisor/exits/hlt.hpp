// HLT: the guest waits for an interrupt, and the processor with it.
#pragma once

#include "hypervisor/exits/resume_guest.hpp"

namespace hvp::vmx {

/// A pending event wakes the guest immediately: it came when it was blocked, perhaps by the very
/// STI in front of its HLT.  [SDM 3C 33.5 "Handling Activity States by VMM"]
///
/// Needs    an exit by HLT; `is_ours`: as nmis_of_guest
template <typename IsOurs>
[[nodiscard, gnu::noinline]] Next halt(Exit exit, IsOurs is_ours) {
    step_over_instruction(exit.vmcs);
    exit.vmcs.write(guest_activity_state, ActivityState::hlt);
    return deliver_pending(exit, is_ours) == AfterEvent::resume ? Next::resume : Next::stop;
}

/// HLT waits for an interrupt. A guest whose interrupts we do not see has nothing to wait for: it
/// goes on.  [SDM 3C 25.1.3 "Instructions That Cause VM Exits Conditionally"]
inline Next on_hlt(Exit exit) {
    const bool sees_interrupts =
        exit.vmcs.read(exit_controls).has(ExitControl::acknowledge_interrupt_on_exit);
    return sees_interrupts ? halt(exit, none_is_ours) : Next::step_over;
}

}  // namespace hvp::vmx
