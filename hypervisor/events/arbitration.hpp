// Which event the guest gets next: the decision, as a function of values. No VMCS is read here, so
// that a test can ask for every case; delivery.hpp reads and writes the fields.
//
// A processor without a VMM makes this decision at every instruction boundary. A VMM that takes
// events away from it, or that has exceptions of its own to give, must decide the same:
// - Delivery can itself fail. Then the two events become one.
//   [SDM 3A 6.15 "Exception and Interrupt Reference"], Interrupt 8
// - Of several events that wait the most urgent one is delivered, and the others go on waiting.
//   [SDM 3A 6.9 "Priority Among Simultaneous Exceptions and Interrupts"]
// - Some states hold some events back. The processor does not wait for us there: VM entry fails.
//   [SDM 3C 26.3.1.5 "Checks on Guest Non-Register State"]
#pragma once

#include <cstdint>

#include "hypervisor/arch/instruction_types.hpp"
#include "hypervisor/vmcs/fields.hpp"

namespace hvp::vmx {

/// An event with all that a VM entry needs to deliver it.
struct Event {
    InterruptionInformation what{};      ///< not valid: there is no event
    std::uint32_t error_code{};          ///< where `what` has one
    std::uint32_t instruction_length{};  ///< of INT n, INT1, INT3 or INTO, which return after it
    /// What the exception tells beside its error code, and what an exit has kept the processor from
    /// telling: the address of a page fault, for CR2; the causes of a debug exception, for DR6.
    /// [SDM 3C 27.1 "Architectural State Before a VM Exit"]
    std::uint64_t payload{};

    [[nodiscard]] constexpr bool exists() const { return what.valid != 0; }
    [[nodiscard]] constexpr bool is_exception(Vector vector) const { return what.is(vector); }
};

/// An exception as the processor raises it.
[[nodiscard]] constexpr Event exception_event(Vector vector, std::uint32_t error_code = 0) {
    return {.what = exception(vector), .error_code = error_code};
}

/// An event that is an instruction: INT n, INT1, INT3, INTO.
[[nodiscard]] constexpr bool is_instruction(const InterruptionInformation& event) {
    return event.is(EventType::software_interrupt) ||
           event.is(EventType::privileged_software_exception) ||
           event.is(EventType::software_exception);
}

/// A fault, whose instruction is executed again; not a trap, an abort, or a debug exception, which
/// is either.  [SDM 3A 6.15 "Exception and Interrupt Reference"], table 6-1
[[nodiscard]] constexpr bool is_fault(const InterruptionInformation& event) {
    return event.is(EventType::hardware_exception) &&
           event.vector != static_cast<std::uint32_t>(Vector::debug) &&
           event.vector != static_cast<std::uint32_t>(Vector::double_fault) &&
           event.vector != static_cast<std::uint32_t>(Vector::machine_check);
}

// ---- An exception during delivery ---------------------------------------------------------------

/// How bad it is when the delivery of an event fails.
/// [SDM 3A 6.15 "Exception and Interrupt Reference"], table 6-4
enum class Severity : std::uint8_t { benign, contributory, page_fault, double_fault };

/// Interrupts, and events that are instructions, are benign whatever their vector is: what has
/// failed is the instruction, and it is executed again.
/// [SDM 3C 31.7.1.1 "Reflecting Exceptions to Guest Software"]
[[nodiscard]] constexpr Severity severity_of(const InterruptionInformation& event) {
    if (!event.is(EventType::hardware_exception)) {
        return Severity::benign;
    }
    switch (static_cast<Vector>(event.vector)) {
        case Vector::divide_error:
        case Vector::invalid_tss:
        case Vector::segment_not_present:
        case Vector::stack_fault:
        case Vector::general_protection:
        case Vector::control_protection:
            return Severity::contributory;
        case Vector::page_fault:
        case Vector::virtualization:
            return Severity::page_fault;
        case Vector::double_fault:
            return Severity::double_fault;
        default:
            return Severity::benign;
    }
}

/// What comes of two events of which the second happened while the first was being delivered.
enum class Combined : std::uint8_t { deliver_second, double_fault, triple_fault };

/// [SDM 3A 6.15 "Exception and Interrupt Reference"], table 6-5. The first event is not lost: a
/// fault and an INT n come again when the handler of the second has returned. An interrupt does
/// not, here as on a processor without a VMM.
[[nodiscard]] constexpr Combined combine(const InterruptionInformation& first,
                                         const InterruptionInformation& second) {
    const Severity one = severity_of(first);
    const Severity two = severity_of(second);
    if (one == Severity::benign || two == Severity::benign) {
        return Combined::deliver_second;
    }
    if (one == Severity::double_fault) {
        return Combined::triple_fault;
    }
    if (two == Severity::double_fault) {
        return Combined::deliver_second;  // the processor has combined them already
    }
    const bool serially = one == Severity::contributory && two == Severity::page_fault;
    return serially ? Combined::deliver_second : Combined::double_fault;
}

// ---- The decision -------------------------------------------------------------------------------

/// Everything that wants to be delivered.
struct PendingEvents {
    Event interrupted{};  ///< whose delivery this exit has interrupted
    Event exception{};    ///< that the guest's instruction, or the delivery, has raised
    std::uint32_t nmis{};
    std::uint32_t interrupts{};       ///< external ones
    std::uint8_t interrupt_vector{};  ///< of the most urgent one
};

/// What of the guest's state holds events back.
struct GuestBlockingState {
    arch::Flags<Interruptibility> interruptibility{};
    bool interrupts_enabled{};  ///< RFLAGS.IF
    ActivityState activity{};
    /// The next entry will deliver a debug exception by itself: a trap of the last instruction.
    bool debug_exception_pends{};
    /// CR0.PE is 0. Nothing is held back by it, but no exception has an error code.
    /// [SDM 3C 26.5.1.3 "Event Injection for VM Entries to Real-Address Mode"]
    bool real_mode{};
    /// Any exception may have an error code or none: VmxBasic::any_error_code. Of the processor,
    /// not of the guest.
    bool any_error_code{};
};

/// What the next VM entry is to do. What is neither injected nor named here goes on waiting.
struct Decision {
    Event inject{};
    bool triple_fault{};  ///< nothing can be delivered any more; a processor would shut down
    bool takes_nmi{};
    bool takes_interrupt{};
    bool open_nmi_window{};        ///< ask for an exit as soon as an NMI can be delivered
    bool open_interrupt_window{};  ///< the same for an external interrupt
    arch::Flags<Interruptibility> interruptibility{};  ///< what the field must be at that entry
};

/// What may be delivered in an inactive state.
/// [SDM 3C 26.3.1.5 "Checks on Guest Non-Register State"]
[[nodiscard]] constexpr bool is_allowed(const InterruptionInformation& event,
                                        ActivityState activity) {
    const bool machine_check = event.is(Vector::machine_check);
    const bool debug = event.is(Vector::debug);
    switch (activity) {
        case ActivityState::active:
            return true;
        case ActivityState::hlt:
            return event.is(EventType::external_interrupt) || event.is(EventType::nmi) || debug ||
                   machine_check;
        case ActivityState::shutdown:
            return event.is(EventType::nmi) || machine_check;
        case ActivityState::wait_for_sipi:
            return false;
    }
    return false;
}

namespace injection {

/// A trap of the last instruction comes before an NMI and an interrupt; and an entry that injects
/// one of these drops the trap.
/// [SDM 3A 6.9 "Priority Among Simultaneous Exceptions and Interrupts"],
/// [SDM 3C 26.6.3 "Delivery of Pending Debug Exceptions after VM Entry"]
///
/// Blocking by STI holds NMIs back, too: some processors demand it at the entry.
[[nodiscard]] constexpr bool takes_nmi(const GuestBlockingState& guest) {
    return !guest.debug_exception_pends &&
           (guest.interruptibility & (until_next_instruction | Interruptibility::blocking_by_nmi))
               .empty() &&
           guest.activity != ActivityState::wait_for_sipi;
}

[[nodiscard]] constexpr bool takes_interrupt(const GuestBlockingState& guest) {
    return !guest.debug_exception_pends && guest.interrupts_enabled &&
           (guest.interruptibility & until_next_instruction).empty() &&
           (guest.activity == ActivityState::active || guest.activity == ActivityState::hlt);
}

/// The exception, what it makes of the event that was being delivered, or that event anew.
[[nodiscard]] constexpr Decision of_exceptions(const PendingEvents& pending,
                                               const GuestBlockingState& guest) {
    Decision decision{.interruptibility = guest.interruptibility};
    decision.inject = pending.exception.exists() ? pending.exception : pending.interrupted;
    if (pending.interrupted.exists()) {
        // An NMI blocks NMIs as soon as its delivery begins; the entry that delivers it anew wants
        // to be the one who does so.  [SDM 3C 27.1 "Architectural State Before a VM Exit"],
        // [SDM 3C 31.7.1.2 "Resuming Guest Software after Handling an Exception"]
        if (decision.inject.what.is(EventType::nmi)) {
            decision.interruptibility =
                decision.interruptibility.without(Interruptibility::blocking_by_nmi);
        }
        if (pending.exception.exists()) {
            switch (combine(pending.interrupted.what, pending.exception.what)) {
                case Combined::deliver_second:
                    break;
                case Combined::double_fault:
                    decision.inject = exception_event(Vector::double_fault);
                    break;
                case Combined::triple_fault:
                    decision.inject = {};
                    decision.triple_fault = true;
                    break;
            }
        }
    }
    return decision;
}

}  // namespace injection

/// Chooses among the pending events.
[[nodiscard]] constexpr Decision decide(const PendingEvents& pending,
                                        const GuestBlockingState& guest) {
    Decision decision = injection::of_exceptions(pending, guest);
    if (decision.triple_fault) {
        return decision;
    }
    if (guest.real_mode) {
        decision.inject.what.has_error_code = 0;
        decision.inject.error_code = 0;
    }
    if (decision.inject.exists() && !is_allowed(decision.inject.what, guest.activity)) {
        decision.inject = {};
    } else if (!decision.inject.exists() && pending.nmis != 0 && injection::takes_nmi(guest)) {
        decision.inject = {.what = injected_nmi};
        decision.takes_nmi = true;
    } else if (!decision.inject.exists() && pending.interrupts != 0 &&
               injection::takes_interrupt(guest)) {
        decision.inject = {.what = external_interrupt(pending.interrupt_vector)};
        decision.takes_interrupt = true;
    }
    decision.open_nmi_window = pending.nmis > (decision.takes_nmi ? 1U : 0U);
    decision.open_interrupt_window = pending.interrupts > (decision.takes_interrupt ? 1U : 0U);
    return decision;
}

// ---- What VM entry checks -----------------------------------------------------------------------

/// The rules about an event that is to be injected, in the order in which they are looked at here.
enum class InjectionRule : std::uint8_t {
    kept,             ///< none is broken
    type,             ///< a reserved type
    vector,           ///< one that this type cannot have
    error_code,       ///< there is none where there must be one, or the other way round
    reserved_bits,    ///< bits 30:12
    error_code_bits,  ///< bits 31:16 of the error code
    length,           ///< not that of an instruction
    activity,         ///< the guest's activity state blocks it
    blocking,         ///< the guest's interruptibility state blocks it
};

/// Which rule of VM entry an injection would break, on a processor that takes no event of type 7
/// and no instruction length of 0: what all processors with VT-x can do. Which exceptions have an
/// error code, a processor may leave to us. A guest in real mode is an
/// unrestricted one. [SDM 3C 26.2.1.3 "VM-Entry Control Fields"],
/// [SDM 3C 26.3.1.5 "Checks on Guest Non-Register State"]
[[nodiscard]] constexpr InjectionRule broken_rule(const Event& event,
                                                  const GuestBlockingState& guest) {
    const InterruptionInformation& what = event.what;
    if (!event.exists()) {
        return InjectionRule::kept;
    }
    if (what.type == 1 || what.is(EventType::other)) {
        return InjectionRule::type;
    }
    if ((what.is(EventType::nmi) && what.vector != static_cast<std::uint32_t>(Vector::nmi)) ||
        (what.is(EventType::hardware_exception) && what.vector > 31)) {
        return InjectionRule::vector;
    }
    const bool may_push = !guest.real_mode && what.is(EventType::hardware_exception);
    const bool pushes = may_push && pushes_error_code(static_cast<Vector>(what.vector));
    const bool has_error_code = what.has_error_code != 0;
    if (has_error_code != pushes && !(may_push && guest.any_error_code)) {
        return InjectionRule::error_code;
    }
    if (what.nmi_unblocking != 0 || what.reserved_30_13 != 0) {
        return InjectionRule::reserved_bits;
    }
    // Our edition of the manual, 060US, says 31:15, and newer ones 31:16. They are right: bit 15
    // belongs to a selector's index, and Bochs 2.7 takes it, too.
    if (has_error_code && event.error_code >> 16 != 0) {
        return InjectionRule::error_code_bits;
    }
    if (is_instruction(what) && (event.instruction_length == 0 ||
                                 event.instruction_length > arch::most_instruction_bytes)) {
        return InjectionRule::length;
    }
    if (!is_allowed(what, guest.activity)) {
        return InjectionRule::activity;
    }
    const auto blocking = guest.interruptibility;
    const bool until_next = !(blocking & until_next_instruction).empty();
    const bool nmi_blocked = blocking.has(Interruptibility::blocking_by_nmi);
    if ((what.is(EventType::external_interrupt) && (until_next || !guest.interrupts_enabled)) ||
        (what.is(EventType::nmi) && (until_next || nmi_blocked))) {
        return InjectionRule::blocking;
    }
    return InjectionRule::kept;
}

}  // namespace hvp::vmx
