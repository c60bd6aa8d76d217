// What follows the decision of a handler. Only the code here moves the guest's RIP.
#pragma once

#include "hypervisor/events/pending.hpp"

namespace hvp::vmx {

/// Does for the guest what the processor does at the end of an instruction: the next one is next,
/// what STI or MOV SS held back is held back no longer, and with RFLAGS.TF there is a debug
/// exception.
///
/// The debug exception is not injected but left pending: the processor then merges it with what
/// else is pending, and delivers all in the right order.
/// [SDM 3C 26.6.3 "Delivery of Pending Debug Exceptions after VM Entry"]
template <Vmcs V>
[[gnu::always_inline]] inline void step_over_instruction(V vmcs) {
    const arch::GuestLinearAddress before = vmcs.read(guest_rip);
    arch::GuestLinearAddress after = before + vmcs.read(exit_instruction_length);
    // Only 32-bit code can come across a multiple of 4 GiB here, and goes on at 0.
    constexpr std::uint64_t four_gib = 1ULL << 32;
    const bool crosses =
        static_cast<std::uint32_t>(after.raw()) < static_cast<std::uint32_t>(before.raw());
    if (crosses && vmcs.read(guest_cs_rights).long_mode == 0) [[unlikely]] {
        after = after - four_gib;
    }
    vmcs.write(guest_rip, after);

    const auto interruptibility = vmcs.read(guest_interruptibility_state);
    if (!(interruptibility & until_next_instruction).empty()) {
        vmcs.write(guest_interruptibility_state, interruptibility.without(until_next_instruction));
    }
    if (vmcs.read(guest_rflags).has(arch::Rflags::trap)) {
        // With BTF, TF means a debug exception after branches only. None of the instructions that
        // we step over is one.  [SDM 3A 17.4.3 "Single-Stepping on Branches"]
        if (!vmcs.read(guest_debugctl).has(arch::DebugControl::branch_trap)) {
            vmcs.write(guest_pending_debug_exceptions,
                       vmcs.read(guest_pending_debug_exceptions) | PendingDebug::single_step);
        }
    }
}

/// Notes for the report how it ended. Returns false: the guest does not go on.
[[nodiscard, gnu::noinline]] inline bool leave(Exit exit) {
    GuestStop& guest_stop = exit.processor().guest_stop;
    guest_stop.reason = exit.vmcs.read(exit_reason);
    guest_stop.qualification = exit.vmcs.read(exit_qualification);
    guest_stop.guest_rip = exit.vmcs.read(guest_rip).raw();
    return false;
}

/// Does what the handler of an event has decided: there is nothing to step over.
///
/// Returns  whether the guest goes on
[[nodiscard, gnu::always_inline]] inline bool carry_out(Exit exit, AfterEvent next) {
    return next == AfterEvent::resume || leave(exit);
}

/// Does what the handler of an instruction has decided.
///
/// Returns  whether the guest goes on
[[nodiscard, gnu::always_inline]] inline bool carry_out(Exit exit, Next next) {
    if (next == Next::step_over) [[likely]] {
        step_over_instruction(exit.vmcs);
        return true;
    }
    return next == Next::resume || leave(exit);
}

}  // namespace hvp::vmx
