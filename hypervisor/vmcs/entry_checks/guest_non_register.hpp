// The rules for the guest's state that is not in registers.
// [SDM 3C 26.3.1.5 "Checks on Guest Non-Register State"]
#pragma once

#include "hypervisor/vmcs/entry_checks/entry_controls.hpp"
#include "hypervisor/vmcs/entry_checks/entry_rule.hpp"
#include "hypervisor/vmcs/entry_checks/guest_rip.hpp"
#include "hypervisor/vmcs/entry_checks/guest_segments.hpp"

namespace hvp::vmx::checks {

inline constexpr Citation section_non_register{"3C", "26.3.1.5",
                                               "Checks on Guest Non-Register State"};

// ---- Activity and interruptibility ------------------------------------------------------------

[[nodiscard]] inline std::uint64_t activity(VmcsUnderTest& x) {
    return x.raw(guest_activity_state);
}
[[nodiscard]] inline bool is_in(VmcsUnderTest& x, ActivityState state) {
    return activity(x) == static_cast<std::uint64_t>(state);
}
[[nodiscard]] inline bool is_blocked(VmcsUnderTest& x, Interruptibility by) {
    return x.read(guest_interruptibility_state).has(by);
}
[[nodiscard]] inline bool injects_exception(VmcsUnderTest& x, Vector vector) {
    return x.read(entry_interruption_information).is(vector);
}

[[nodiscard]] inline CheckResult activity_supported(VmcsUnderTest& x) {
    const std::uint64_t state = activity(x);
    if (state == 0 || state > 3) {
        return holds;
    }
    return broken_if((x.raw(item(Msr::vmx_misc)) >> (5 + state) & 1) == 0);
}
[[nodiscard]] inline CheckResult hlt_takes_event(VmcsUnderTest& x) {
    if (!is_in(x, ActivityState::hlt) || !injects(x)) {
        return holds;
    }
    const bool good = injects(x, EventType::external_interrupt) || injects(x, EventType::nmi) ||
                      injects_exception(x, Vector::debug) ||
                      injects_exception(x, Vector::machine_check) || injects(x, EventType::other);
    return broken_if(!good);
}
[[nodiscard]] inline CheckResult shutdown_takes_event(VmcsUnderTest& x) {
    if (!is_in(x, ActivityState::shutdown) || !injects(x)) {
        return holds;
    }
    return broken_if(!injects(x, EventType::nmi) && !injects_exception(x, Vector::machine_check));
}
[[nodiscard]] inline CheckResult active_if_blocked(VmcsUnderTest& x) {
    if (activity(x) == 0) {
        return holds;
    }
    return broken_if(is_blocked(x, Interruptibility::blocking_by_sti) ||
                     is_blocked(x, Interruptibility::blocking_by_mov_ss));
}
/// Blocking by STI or by MOV SS that an injected event does not allow.
template <EventType type, std::uint64_t blocking>
[[nodiscard]] CheckResult not_blocked_for(VmcsUnderTest& x) {
    return injects(x, type) ? broken_by(x.raw(guest_interruptibility_state) & blocking) : holds;
}
[[nodiscard]] inline CheckResult nmi_not_blocked_by_sti(VmcsUnderTest& x) {
    if (!injects(x, EventType::nmi) || !is_blocked(x, Interruptibility::blocking_by_sti)) {
        return holds;
    }
    return broken_by(x.is(Fact::nmi_under_sti_refused) ? bit(0) : 0);
}

inline constexpr auto activity_rules = std::to_array<EntryRule>({
    {"guest-activity-range", &section_non_register,
     [](VmcsUnderTest& x) { return broken_if(activity(x) > 3); }, fields(guest_activity_state)},
    {"guest-activity-supported", &section_non_register, activity_supported,
     fields(guest_activity_state, Msr::vmx_misc)},
    {"guest-hlt-cpl", &section_non_register,
     [](VmcsUnderTest& x) {
         return broken_if(is_in(x, ActivityState::hlt) &&
                          rights<Index::ss>(x).privilege_level != 0);
     },
     fields(guest_activity_state, of(guest_es_rights, Index::ss))},
    {"guest-active-if-blocked", &section_non_register, active_if_blocked,
     fields(guest_activity_state, guest_interruptibility_state)},
    {"guest-hlt-event", &section_non_register, hlt_takes_event,
     fields(guest_activity_state, entry_interruption_information)},
    {"guest-shutdown-event", &section_non_register, shutdown_takes_event,
     fields(guest_activity_state, entry_interruption_information)},
    {"guest-wait-for-sipi-event", &section_non_register,
     [](VmcsUnderTest& x) {
         return broken_if(is_in(x, ActivityState::wait_for_sipi) && injects(x));
     },
     fields(guest_activity_state, entry_interruption_information)},
    {"guest-wait-for-sipi-smm", &section_non_register,
     [](VmcsUnderTest& x) {
         return broken_if(is_in(x, ActivityState::wait_for_sipi) &&
                          x.has(EntryControl::entry_to_smm));
     },
     fields(guest_activity_state, entry_controls)},
    {"guest-interruptibility-reserved", &section_non_register,
     clear<always, guest_interruptibility_state, bits(31, 5)>,
     fields(guest_interruptibility_state)},
    {"guest-sti-and-mov-ss", &section_non_register,
     [](VmcsUnderTest& x) {
         const bool both = is_blocked(x, Interruptibility::blocking_by_sti) &&
                           is_blocked(x, Interruptibility::blocking_by_mov_ss);
         return broken_by(both ? bits(1, 0) : 0);
     },
     fields(guest_interruptibility_state)},
    {"guest-sti-needs-if", &section_non_register,
     [](VmcsUnderTest& x) {
         return broken_by(
             is_blocked(x, Interruptibility::blocking_by_sti) && !interrupts_on(x) ? bit(0) : 0);
     },
     fields(guest_interruptibility_state, guest_rflags)},
    {"guest-blocked-interrupt", &section_non_register,
     not_blocked_for<EventType::external_interrupt, bits(1, 0)>,
     fields(guest_interruptibility_state, entry_interruption_information)},
    {"guest-blocked-nmi-mov-ss", &section_non_register, not_blocked_for<EventType::nmi, bit(1)>,
     fields(guest_interruptibility_state, entry_interruption_information)},
    {"guest-smi-blocking-outside-smm", &section_non_register,
     [](VmcsUnderTest& x) {
         return broken_by(
             is_blocked(x, Interruptibility::blocking_by_smi) && !x.is(Fact::in_smm) ? bit(2) : 0);
     },
     fields(guest_interruptibility_state, Fact::in_smm)},
    {"guest-smi-blocking-in-smm", &section_non_register,
     [](VmcsUnderTest& x) {
         return broken_by(x.has(EntryControl::entry_to_smm) &&
                                  !is_blocked(x, Interruptibility::blocking_by_smi)
                              ? bit(2)
                              : 0);
     },
     fields(guest_interruptibility_state, entry_controls)},
    {"guest-blocked-nmi-sti", &section_non_register, nmi_not_blocked_by_sti,
     fields(guest_interruptibility_state, entry_interruption_information)},
    {"guest-blocked-virtual-nmi", &section_non_register,
     [](VmcsUnderTest& x) {
         const bool applies = injects(x, EventType::nmi) && x.has(Pin::virtual_nmis);
         return applies ? broken_by(x.raw(guest_interruptibility_state) & bit(3)) : holds;
     },
     fields(guest_interruptibility_state, entry_interruption_information, pin_based_controls)},
    {"guest-enclave-mov-ss", &section_non_register,
     [](VmcsUnderTest& x) {
         const bool both = is_blocked(x, Interruptibility::enclave_interruption) &&
                           is_blocked(x, Interruptibility::blocking_by_mov_ss);
         return broken_by(both ? bit(4) | bit(1) : 0);
     },
     fields(guest_interruptibility_state)},
    {"guest-enclave-needs-sgx", &section_non_register,
     [](VmcsUnderTest& x) {
         return broken_by(
             is_blocked(x, Interruptibility::enclave_interruption) && !x.is(Fact::has_sgx) ? bit(4)
                                                                                           : 0);
     },
     fields(guest_interruptibility_state, Fact::has_sgx)},
});

// ---- Pending debug exceptions, link pointer -----------------------------------------------------

/// Whether a debug exception of the instruction before must be accounted for.
[[nodiscard]] inline bool holds_back_debug(VmcsUnderTest& x) {
    return is_blocked(x, Interruptibility::blocking_by_sti) ||
           is_blocked(x, Interruptibility::blocking_by_mov_ss) || is_in(x, ActivityState::hlt);
}
/// TF steps instruction by instruction, with BTF only from branch to branch.
[[nodiscard]] inline bool single_steps(VmcsUnderTest& x) {
    return x.read(guest_rflags).has(arch::Rflags::trap) &&
           !x.read(guest_debugctl).has(arch::DebugControl::branch_trap);
}
[[nodiscard]] inline CheckResult step_is_pending(VmcsUnderTest& x) {
    const bool pending = x.read(guest_pending_debug_exceptions).has(PendingDebug::single_step);
    return broken_by(holds_back_debug(x) && single_steps(x) && !pending ? bit(14) : 0);
}
[[nodiscard]] inline CheckResult no_step_is_pending(VmcsUnderTest& x) {
    const bool pending = x.read(guest_pending_debug_exceptions).has(PendingDebug::single_step);
    return broken_by(holds_back_debug(x) && pending && !single_steps(x) ? bit(14) : 0);
}
[[nodiscard]] inline bool is_transactional(VmcsUnderTest& x) {
    return x.read(guest_pending_debug_exceptions).has(PendingDebug::transactional_region);
}
[[nodiscard]] inline CheckResult transaction_bits(VmcsUnderTest& x) {
    if (!is_transactional(x)) {
        return holds;
    }
    const std::uint64_t value = x.raw(guest_pending_debug_exceptions);
    return broken_by((value & (bits(11, 0) | bits(15, 13) | bits(63, 17))) | (~value & bit(12)));
}

[[nodiscard]] inline bool has_link(VmcsUnderTest& x) {
    return x.raw(guest_vmcs_link_pointer) != ~0ULL;
}
[[nodiscard]] inline std::uint64_t revision_identifier(VmcsUnderTest& x) {
    return x.msr<VmxBasic>(Msr::vmx_basic).revision_identifier;
}
[[nodiscard]] inline std::uint64_t shadow_indicator(VmcsUnderTest& x) {
    return x.has(Secondary::vmcs_shadowing) ? bit(31) : 0;
}
/// The first doubleword of the linked VMCS, where its address is a usable one.
template <std::uint64_t mask, auto expected>
[[nodiscard]] CheckResult linked_word(VmcsUnderTest& x) {
    const std::uint64_t pointer = x.raw(guest_vmcs_link_pointer);
    if (!has_link(x) || (pointer & bits(11, 0)) != 0 || x.beyond_width(pointer) != 0) {
        return holds;
    }
    return broken_if((x.memory(pointer) & mask) != expected(x));
}

inline constexpr auto debug_and_link_rules = std::to_array<EntryRule>({
    {"guest-pending-debug-reserved", &section_non_register,
     clear<always, guest_pending_debug_exceptions, bits(11, 4) | bit(13) | bit(15) | bits(63, 17)>,
     fields(guest_pending_debug_exceptions)},
    {"guest-pending-step", &section_non_register, step_is_pending,
     fields(guest_pending_debug_exceptions, guest_rflags, guest_interruptibility_state,
            guest_debugctl)},
    {"guest-no-pending-step", &section_non_register, no_step_is_pending,
     fields(guest_pending_debug_exceptions, guest_rflags, guest_interruptibility_state,
            guest_debugctl)},
    {"guest-pending-rtm-bits", &section_non_register, transaction_bits,
     fields(guest_pending_debug_exceptions)},
    {"guest-pending-rtm-needs-rtm", &section_non_register,
     [](VmcsUnderTest& x) { return broken_if(is_transactional(x) && !x.is(Fact::has_rtm)); },
     fields(guest_pending_debug_exceptions, Fact::has_rtm)},
    {"guest-pending-rtm-mov-ss", &section_non_register,
     [](VmcsUnderTest& x) {
         return broken_if(is_transactional(x) &&
                          is_blocked(x, Interruptibility::blocking_by_mov_ss));
     },
     fields(guest_pending_debug_exceptions, guest_interruptibility_state)},
    {"guest-link-aligned", &section_non_register,
     clear<has_link, guest_vmcs_link_pointer, bits(11, 0)>, fields(guest_vmcs_link_pointer)},
    {"guest-link-width", &section_non_register, within_width<has_link, guest_vmcs_link_pointer>,
     fields(guest_vmcs_link_pointer)},
    {"guest-link-revision", &section_non_register, linked_word<bits(30, 0), revision_identifier>,
     fields(guest_vmcs_link_pointer, Msr::vmx_basic)},
    {"guest-link-shadow", &section_non_register, linked_word<bit(31), shadow_indicator>,
     fields(guest_vmcs_link_pointer, secondary_processor_based_controls)},
    {"guest-link-not-current", &section_non_register,
     [](VmcsUnderTest& x) {
         if (!has_link(x) || (x.is(Fact::in_smm) && !x.has(EntryControl::entry_to_smm))) {
             return holds;
         }
         return broken_if(x.raw(guest_vmcs_link_pointer) ==
                          x.raw(item(Fact::current_vmcs_pointer)));
     },
     fields(guest_vmcs_link_pointer, Fact::current_vmcs_pointer)},
    {"guest-link-not-executive", &section_non_register,
     [](VmcsUnderTest& x) {
         const bool applies =
             has_link(x) && x.is(Fact::in_smm) && !x.has(EntryControl::entry_to_smm);
         return broken_if(applies &&
                          x.raw(guest_vmcs_link_pointer) == x.raw(executive_vmcs_pointer));
     },
     fields(guest_vmcs_link_pointer, executive_vmcs_pointer)},
});

inline constexpr auto guest_non_register_rules = joined(activity_rules, debug_and_link_rules);

}  // namespace hvp::vmx::checks
