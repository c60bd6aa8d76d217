// From an exit to its handler and back into the guest. The dispatcher alone moves the guest's RIP.
#pragma once

#include <bit>
#include <cstdint>

#include "hypervisor/vmx/exit_handlers.hpp"

namespace hvp::vmx {

/// Does for the guest what the processor does at the end of an instruction: the next one is next,
/// what STI or MOV SS held back is held back no longer, and with RFLAGS.TF there is a debug
/// exception.
///
/// The debug exception is not injected but left pending: the processor then merges it with what
/// else is pending, and delivers all in the right order.
/// [SDM 3C 26.6.3 "Delivery of Pending Debug Exceptions after VM Entry"]
template <VmcsAccess V>
void step_over_instruction(V& vmcs) {
    const arch::GuestLinearAddress before = vmcs.read(guest_rip);
    arch::GuestLinearAddress after = before + vmcs.read(exit_instruction_length);
    constexpr std::uint64_t four_gib = 1ULL << 32;
    if (before.raw() < four_gib && after.raw() >= four_gib &&
        vmcs.read(guest_cs_rights).long_mode == 0) {
        after = after - four_gib;  // 32-bit code goes on at 0
    }
    vmcs.write(guest_rip, after);

    constexpr auto until_next_instruction =
        Interruptibility::blocking_by_sti | Interruptibility::blocking_by_mov_ss;
    const auto interruptibility = vmcs.read(guest_interruptibility_state);
    if (!(interruptibility & until_next_instruction).empty()) {
        vmcs.write(guest_interruptibility_state, interruptibility.without(until_next_instruction));
    }
    if (vmcs.read(guest_rflags).has(arch::Rflags::trap)) {
        // With BTF, TF means a debug exception after branches only. None of the instructions that
        // we step over is one.  [SDM 3A 17.4.3 "Single-Stepping on Branches"]
        constexpr std::uint64_t branch_trap_flag = 1ULL << 1;
        if ((vmcs.read(guest_debugctl) & branch_trap_flag) == 0) {
            vmcs.write(guest_pending_debug_exceptions,
                       vmcs.read(guest_pending_debug_exceptions) | PendingDebug::single_step);
        }
    }
}

/// Notes for the report how it ended.
template <VmcsAccess V>
void note_ending(V& vmcs, VirtualProcessor& processor, ExitReasonField reason) {
    processor.ending.reason = reason;
    processor.ending.qualification = vmcs.read(exit_qualification);
    processor.ending.guest_rip = vmcs.read(guest_rip).raw();
}

/// Handles one exit by the table.
template <VmcsAccess V>
[[nodiscard]] Next handle(Exit<V>& exit, ExitReasonField reason) {
    const std::uint32_t number = reason.basic_reason;
    if (reason.entry_failure != 0) {
        return exit.stop(End::entry_failed);
    }
    if (number >= exit_handlers<V>.size()) {
        return exit.stop(End::unhandled_exit);
    }
    ++exit.processor.exits[number];
    const Next next = exit_handlers<V>[number](exit);
    if (next != Next::step_over) {
        return next;
    }
    if (!has_instruction_length[number]) {
        return exit.stop(End::unhandled_detail);
    }
    step_over_instruction(exit.vmcs);
    return Next::resume;
}

/// Handles one exit, with a note of it in the ring.
template <VmcsAccess V>
[[nodiscard, gnu::noinline]] Next handle_and_trace(Exit<V>& exit, ExitReasonField reason) {
    trace::ExitEvent event{.exit_at = arch::rdtsc(),
                           .qualification = exit.vmcs.read(exit_qualification),
                           .guest_rip = exit.vmcs.read(guest_rip).raw(),
                           .registers = exit.registers.sum(),
                           .reason = std::bit_cast<std::uint32_t>(reason),
                           .instruction_length = exit.vmcs.read(exit_instruction_length)};
    const Next next = handle(exit, reason);
    event.detail = exit.detail;
    event.injected = std::bit_cast<std::uint32_t>(exit.injected);
    event.entry_at = next == Next::stop ? 0 : arch::rdtsc();
    exit.processor.ring->write(event);
    return next;
}

/// What happens at every exit.
///
/// Returns  whether the guest goes on
template <VmcsAccess V>
[[nodiscard]] bool dispatch_exit(V& vmcs, GuestRegisters& registers, VirtualProcessor& processor) {
    const ExitReasonField reason = vmcs.read(exit_reason);
    Exit<V> exit{.vmcs = vmcs, .registers = registers, .processor = processor};
    const Next next = processor.tracing ? handle_and_trace(exit, reason) : handle(exit, reason);
    if (next == Next::stop) {
        note_ending(vmcs, processor, reason);
        return false;
    }
    return true;
}

/// For VmmFrame: the dispatcher on the processor's current VMCS, and the note about an entry that
/// was refused.
[[nodiscard]] std::uint64_t handle_vm_exit(VmmFrame* frame);
void handle_failed_entry(VmmFrame* frame);

}  // namespace hvp::vmx
