// One instruction of the guest, and then an exit: for mappings that are valid for one instruction
// only.
//
// The monitor trap flag is made for this. Where a processor has none, or one that does nothing, it
// is done as debuggers do it: with RFLAGS.TF, and exceptions that exit. That takes more care, as
// TF and what we hold back are state that the guest itself can see; all of it is restored at the
// next exit, whatever exit that is.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <expected>
#include <optional>
#include <span>

#include "hypervisor/arch/processor_state.hpp"
#include "hypervisor/events/delivery.hpp"
#include "hypervisor/vmcs/exit_qualification.hpp"
#include "hypervisor/vmx/adjusted_controls.hpp"

namespace hvp::vmx {

namespace single_step {

/// [SDM 3C 25.5.2 "Monitor Trap Flag"]
template <Vmcs V>
void begin_by_monitor_trap_flag(V& vmcs, SingleStep& step) {
    vmcs.write(primary_processor_based_controls,
               vmcs.read(primary_processor_based_controls) | PrimaryControl::monitor_trap_flag);
    // An interrupt that is delivered first would use up the step. For one instruction, blocking by
    // STI holds it back. Where the guest has TF set itself this is not to be had: blocking and TF
    // together mean that a debug exception is pending, and none is. Then an interrupt may come, and
    // the step is begun anew when its handler returns.
    // [SDM 3C 26.3.1.5 "Checks on Guest Non-Register State"]
    const auto flags = vmcs.read(guest_rflags);
    const auto blocking = vmcs.read(guest_interruptibility_state);
    step.blocks_interrupts = flags.has(arch::Rflags::interrupt_enable) &&
                             !flags.has(arch::Rflags::trap) &&
                             (blocking & until_next_instruction).empty();
    if (step.blocks_interrupts) {
        vmcs.write(guest_interruptibility_state, blocking | Interruptibility::blocking_by_sti);
    }
}

template <Vmcs V>
void end_by_monitor_trap_flag(V& vmcs, const SingleStep& step, bool executed) {
    vmcs.write(
        primary_processor_based_controls,
        vmcs.read(primary_processor_based_controls).without(PrimaryControl::monitor_trap_flag));
    if (!executed && step.blocks_interrupts) {
        vmcs.write(
            guest_interruptibility_state,
            vmcs.read(guest_interruptibility_state).without(Interruptibility::blocking_by_sti));
    }
}

/// TF with interrupts off. Blocking by STI or MOV SS would last for this one instruction anyway,
/// and must not stand beside TF; debug exceptions that are pending after a MOV SS stay pending,
/// with us. All exceptions exit: a fault's handler would find TF set, and interrupts off, in the
/// RFLAGS image on its stack.  [SDM 3C 26.3.1.5 "Checks on Guest Non-Register State"]
template <Vmcs V>
void begin_by_trap_flag(V& vmcs, SingleStep& step) {
    step.rflags = vmcs.read(guest_rflags);
    step.interruptibility = vmcs.read(guest_interruptibility_state);
    step.pending = vmcs.read(guest_pending_debug_exceptions);
    step.debugctl = vmcs.read(guest_debugctl);
    step.exception_bitmap = vmcs.read(exception_bitmap);
    vmcs.write(guest_rflags, step.rflags.without(arch::Rflags::interrupt_enable) |
                                 arch::Flags{arch::Rflags::trap});
    vmcs.write(guest_interruptibility_state, step.interruptibility.without(until_next_instruction));
    vmcs.write(guest_pending_debug_exceptions, {});
    // With BTF, TF stops at branches only.  [SDM 3A 17.4.3 "Single-Stepping on Branches"]
    vmcs.write(guest_debugctl, step.debugctl.without(arch::DebugControl::branch_trap));
    vmcs.write(exception_bitmap, ~0U);
}

/// Needs    an exit while the guest was stepped by TF
/// Returns  the breakpoints that the instruction has met are the guest's, and so is a single step
///          if it had TF set itself. They are left pending, and the processor delivers them: the
///          exit has not touched DR6.  [SDM 3C 27.1 "Architectural State Before a VM Exit"]
template <Vmcs V>
void end_by_trap_flag(V& vmcs, const SingleStep& step, bool executed) {
    const auto ours = arch::Flags{arch::Rflags::trap} | arch::Rflags::interrupt_enable;
    vmcs.write(guest_rflags, vmcs.read(guest_rflags).without(ours) | (step.rflags & ours));
    vmcs.write(exception_bitmap, step.exception_bitmap);
    vmcs.write(guest_debugctl, step.debugctl);
    if (!executed) {
        vmcs.write(guest_interruptibility_state,
                   vmcs.read(guest_interruptibility_state) |
                       (step.interruptibility & until_next_instruction));
        vmcs.write(guest_pending_debug_exceptions, step.pending);
        return;
    }
    auto pending = step.pending;
    const auto met = arch::Flags<PendingDebug>{vmcs.read(exit_qualification)} & debug_breakpoints;
    if (!met.empty()) {
        pending = pending | met | PendingDebug::enabled_breakpoint;
    }
    // With BTF the guest wants to hear of branches only. What is stepped reads or writes its own
    // page; a branch that does so, by CALL, RET or through memory, is not reported.
    if (step.rflags.has(arch::Rflags::trap) &&
        !step.debugctl.has(arch::DebugControl::branch_trap)) {
        pending = pending | PendingDebug::single_step;
    }
    vmcs.write(guest_pending_debug_exceptions, pending);
}

/// Whether this exit is the one that the step was to end with.
template <Vmcs V>
[[nodiscard]] bool has_executed(const V& vmcs, const SingleStep& step, ExitReason reason) {
    if (step.by == StepBy::monitor_trap_flag) {
        return reason == ExitReason::monitor_trap_flag;
    }
    const InterruptionInformation event = vmcs.read(exit_interruption_information);
    const arch::Flags<PendingDebug> causes{vmcs.read(exit_qualification)};
    return reason == ExitReason::exception_or_nmi && event.is(Vector::debug) &&
           causes.has(PendingDebug::single_step);
}

}  // namespace single_step

/// First bytes of instructions in 64-bit mode; the manual's volume 2 has them by instruction.
namespace opcodes {

inline constexpr auto prefixes = std::to_array<std::uint8_t>({
    0x26, 0x2E, 0x36, 0x3E, 0x64, 0x65,  // ES, CS, SS, DS, FS, GS
    0x66, 0x67,                          // operand size, address size
    0xF0, 0xF2, 0xF3,                    // LOCK, REPNE, REP
});
inline constexpr std::uint8_t first_rex = 0x40;  ///< to 4FH
inline constexpr std::uint8_t mov_to_segment_register = 0x8E;
inline constexpr std::uint8_t pushf = 0x9C;
inline constexpr std::uint8_t popf = 0x9D;
inline constexpr std::uint8_t iret = 0xCF;

}  // namespace opcodes

/// Whether an instruction that is stepped by TF would see or take what is not the guest's: PUSHF
/// stores TF and IF, POPF and IRET replace them, and after a MOV to SS there is one more
/// instruction before the debug exception.
/// [SDM 3A 6.8.3 "Masking Exceptions and Interrupts When Switching Stacks"]
[[nodiscard]] constexpr bool cannot_be_stepped_by_trap_flag(std::span<const std::uint8_t> code) {
    using namespace opcodes;
    for (const std::uint8_t byte : code) {
        if ((byte & 0xF0) != first_rex && std::ranges::find(prefixes, byte) == prefixes.end()) {
            return byte == pushf || byte == popf || byte == iret || byte == mov_to_segment_register;
        }
    }
    return false;
}

/// The guest executes one instruction, and then there is an exit, which goes another way: what ends
/// a step shall cost nothing for the exits that end none.
inline void begin_step(Exit exit) {
    SingleStep& step = exit.processor().step;
    step.on_exit = exit.frame.on_exit;
    exit.frame.on_exit = step.on_exit_of_step;
    if (step.by == StepBy::monitor_trap_flag) {
        single_step::begin_by_monitor_trap_flag(exit.vmcs, step);
    } else {
        single_step::begin_by_trap_flag(exit.vmcs, step);
    }
}

/// Called at every exit during a step, before its handler. Everything is as if there had been no
/// step, and `ept_after` chooses the EPT to go on with: it gets whether the instruction has been
/// executed, or another exit came first.
///
/// Returns  nothing where the exit is still to be handled
template <typename EptAfter>
[[nodiscard]] std::optional<AfterEvent> end_step(Exit exit, ExitReason reason, EptAfter ept_after) {
    SingleStep& step = exit.processor().step;
    const bool executed = single_step::has_executed(exit.vmcs, step, reason);
    if (step.by == StepBy::monitor_trap_flag) {
        single_step::end_by_monitor_trap_flag(exit.vmcs, step, executed);
    } else {
        single_step::end_by_trap_flag(exit.vmcs, step, executed);
    }
    exit.frame.on_exit = step.on_exit;
    exit.vmcs.write(ept_pointer, ept_after(executed));
    if (executed) {
        return AfterEvent::resume;
    }
    // By TF, all exceptions come here. One that is a fault of the instruction is the guest's; a
    // debug exception recurs, as a breakpoint on the instruction is met again.
    const InterruptionInformation event = exit.vmcs.read(exit_interruption_information);
    if (step.by != StepBy::trap_flag || reason != ExitReason::exception_or_nmi ||
        event.is(EventType::nmi)) {
        return std::nullopt;
    }
    if (event.vector != static_cast<std::uint32_t>(Vector::debug)) {
        return reflect_exception(exit);
    }
    return AfterEvent::resume;
}

/// Finds out what this processor's steps can be made with, by running a guest of two instructions:
/// an emulator may offer the monitor trap flag and do nothing with it (Bochs 2.7: icelake and
/// tigerlake).
///
/// Needs    `stack_end`: 40 bytes below it for the guest
/// Returns  the time-stamp counter when that guest was entered
/// Where    VMX root operation, no VMCS current
[[nodiscard]] std::expected<std::uint64_t, Failure> choose_step(
    const ProcessorRegion& region, const arch::ProcessorState& host_system, std::byte* stack_end,
    std::uint64_t host_cr3_value);

}  // namespace hvp::vmx
