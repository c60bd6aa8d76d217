// From an exit to its handler.
#pragma once

#include <bit>
#include <cstdint>

#include "hypervisor/exits/handler_table.hpp"
#include "hypervisor/exits/single_step.hpp"

namespace hvp::vmx {

/// A reason field that is not simply the number of a reason that we know.
template <VmcsAccess V>
[[nodiscard, gnu::noinline]] bool leave_for_unknown_reason(Exit<V> exit) {
    const bool entry_failed = exit.vmcs.read(exit_reason).entry_failure != 0;
    exit.processor().guest_stop.why =
        entry_failed ? StopReason::entry_failed : StopReason::unhandled_exit;
    return leave(exit);
}

/// Handles one exit by the table.
///
/// Returns  whether the guest goes on
template <VmcsAccess V>
[[nodiscard, gnu::always_inline]] inline bool handle(Exit<V> exit, std::uint32_t reason) {
    if (reason >= exit_reason_count) [[unlikely]] {
        return leave_for_unknown_reason(exit);
    }
    ++exit.processor().exits.values[reason];
    return exit_handlers<V>.values[reason](exit);
}

/// The same for the exit that ends a step of one instruction.
template <VmcsAccess V>
[[nodiscard]] bool handle_in_step(Exit<V> exit, std::uint32_t reason) {
    if (reason < exit_reason_count) {
        if (const std::optional<AfterEvent> next =
                end_step(exit, static_cast<ExitReason>(reason))) {
            ++exit.processor().exits.values[reason];
            return after_event(exit, *next);
        }
    }
    return handle(exit, reason);
}

/// One byte for each reason: the driver carries no more of the table of facts.
inline constexpr auto exit_details = [] {
    PerExitReason<ExitDetail> details;
    for (const ExitReasonFacts& row : exit_reasons) {
        details[row.reason] = row.detail;
    }
    return details;
}();

/// What the trace shows of an exit beside the VMCS: the leaf, the MSR, the value, the event.
template <VmcsAccess V>
[[nodiscard]] std::uint64_t detail_of(Exit<V> exit, std::uint32_t reason) {
    const GuestRegisters& registers = exit.registers();
    if (reason >= exit_reason_count) {
        return 0;
    }
    switch (exit_details.values[reason]) {
        case ExitDetail::none:
            return 0;
        case ExitDetail::interruption_information:
            return std::bit_cast<std::uint32_t>(exit.vmcs.read(exit_interruption_information));
        case ExitDetail::cpuid_leaf:
            return registers.low(Register::rax);
        case ExitDetail::hypercall:
            return registers[Register::rax];
        case ExitDetail::general_register: {
            const auto access =
                std::bit_cast<ControlRegisterAccess>(exit.vmcs.read(exit_qualification));
            const auto which = static_cast<Register>(access.general_register);
            return which == Register::rsp ? exit.vmcs.read(guest_rsp).raw() : registers[which];
        }
        case ExitDetail::msr:
            return registers.low(Register::rcx);
        case ExitDetail::guest_physical_address:
            return exit.vmcs.read(guest_physical_address).raw();
    }
    return 0;
}

/// Handles one exit, with a note of it in the ring.
template <VmcsAccess V, bool (*handler)(Exit<V>, std::uint32_t)>
[[nodiscard, gnu::noinline]] bool handle_and_trace(Exit<V> exit, std::uint32_t reason) {
    trace::ExitEvent event{.exit_at = arch::rdtsc(),
                           .qualification = exit.vmcs.read(exit_qualification),
                           .guest_rip = exit.vmcs.read(guest_rip).raw(),
                           .detail = detail_of(exit, reason),
                           .registers = exit.registers().sum(),
                           .reason = reason,
                           .instruction_length = exit.vmcs.read(exit_instruction_length)};
    const bool goes_on = handler(exit, reason);
    // The exit has cleared the field's valid bit, so what is valid is for the entry to come.
    // [SDM 3C 24.8.3 "VM-Entry Controls for Event Injection"]
    event.injected = std::bit_cast<std::uint32_t>(exit.vmcs.read(entry_interruption_information));
    event.entry_at = goes_on ? arch::rdtsc() : 0;
    exit.processor().ring->write(event);
    return goes_on;
}

/// What happens at every exit.
///
/// Returns  whether the guest goes on
template <VmcsAccess V, bool (*handler)(Exit<V>, std::uint32_t) = handle<V>>
[[nodiscard, gnu::always_inline]] inline bool dispatch_exit(V vmcs, VmmFrame& frame) {
    const Exit<V> exit{.vmcs = vmcs, .frame = frame};
    const auto reason = std::bit_cast<std::uint32_t>(vmcs.read(exit_reason));
    if (exit.processor().tracing) [[unlikely]] {
        return handle_and_trace<V, handler>(exit, reason);
    }
    return handler(exit, reason);
}

/// For VmmFrame: the dispatcher on the processor's current VMCS, and the note about an entry that
/// was refused.
[[nodiscard]] bool handle_vm_exit(VmmFrame* frame);
void handle_failed_entry(VmmFrame* frame);

}  // namespace hvp::vmx
