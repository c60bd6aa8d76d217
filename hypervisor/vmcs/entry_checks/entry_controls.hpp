// The rules for the VM-entry control fields, and for the event that an entry injects.
// [SDM 3C 26.2.1.3 "VM-Entry Control Fields"]
#pragma once

#include "hypervisor/arch/instruction_types.hpp"
#include "hypervisor/vmcs/entry_checks/entry_rule.hpp"

namespace hvp::vmx::checks {

inline constexpr Citation section_entry{"3C", "26.2.1.3", "VM-Entry Control Fields"};

/// Whether an event is injected; else its fields are not checked.
[[nodiscard]] inline bool injects(VmcsUnderTest& x) {
    return x.read(entry_interruption_information).valid != 0;
}
[[nodiscard]] inline bool injects(VmcsUnderTest& x, EventType type) {
    return x.read(entry_interruption_information).is(type);
}

/// Exceptions that push an error code.  [SDM 3A 6.15 "Exception and Interrupt Reference"], each
/// exception's own paragraph; the list is also in the rule itself.
[[nodiscard]] inline bool pushes_error_code(std::uint32_t vector) {
    constexpr std::uint32_t vectors =
        1U << 8 | 1U << 10 | 1U << 11 | 1U << 12 | 1U << 13 | 1U << 14 | 1U << 17;
    return vector < 32 && (vectors >> vector & 1) != 0;
}

/// Whether this event is one that can have an error code.
[[nodiscard]] inline bool may_push_error_code(VmcsUnderTest& x) {
    // In real mode, which only an unrestricted guest has, exceptions push no error code.
    return x.read(entry_interruption_information).is(EventType::hardware_exception) &&
           (!x.has(Secondary::unrestricted_guest) ||
            x.read(guest_cr0).has(arch::Cr0::protection_enable));
}
/// Whether this processor leaves it to the VMM which exceptions have one. Our edition of the
/// manual,
/// 060US, has no such processor yet; newer ones say it of bit 56.  [SDM 3D A.1 "Basic VMX Information"]
[[nodiscard]] inline bool any_error_code(VmcsUnderTest& x) {
    return x.msr<VmxBasic>(Msr::vmx_basic).any_error_code != 0;
}

[[nodiscard]] inline bool is_software_event(VmcsUnderTest& x) {
    return injects(x, EventType::software_interrupt) || injects(x, EventType::software_exception) ||
           injects(x, EventType::privileged_software_exception);
}

[[nodiscard]] inline CheckResult event_type_not_reserved(VmcsUnderTest& x) {
    if (!injects(x)) {
        return holds;
    }
    constexpr std::uint32_t always_reserved = 1;
    const std::uint32_t type = x.read(entry_interruption_information).type;
    bool reserved = type == always_reserved;
    if (type == static_cast<std::uint32_t>(EventType::other)) {
        const std::uint32_t supported =
            x.capability(Msr::vmx_procbased_ctls, Msr::vmx_true_procbased_ctls).may_be_one;
        reserved = (supported & static_cast<std::uint32_t>(Primary::monitor_trap_flag)) == 0;
    }
    return broken_by(reserved ? bits(10, 8) : 0);
}

/// The vector that a type of event must have.
template <EventType type, std::uint32_t first, std::uint32_t last>
[[nodiscard]] CheckResult vector_in_range(VmcsUnderTest& x) {
    const std::uint32_t vector = x.read(entry_interruption_information).vector;
    return broken_by(injects(x, type) && (vector < first || vector > last) ? bits(7, 0) : 0);
}

[[nodiscard]] inline CheckResult instruction_length_in_range(VmcsUnderTest& x) {
    return broken_if(is_software_event(x) &&
                     x.raw(entry_instruction_length) > arch::most_instruction_bytes);
}

[[nodiscard]] inline CheckResult instruction_length_not_0(VmcsUnderTest& x) {
    if (!is_software_event(x) || x.raw(entry_instruction_length) != 0) {
        return holds;
    }
    return broken_if((x.raw(item(Msr::vmx_misc)) >> 30 & 1) == 0);
}

/// Only a processor in SMM may have this control.
template <EntryControl control>
[[nodiscard]] CheckResult only_in_smm(VmcsUnderTest& x) {
    return broken_by(x.has(control) && !x.is(Fact::in_smm) ? static_cast<std::uint64_t>(control)
                                                           : 0);
}

inline constexpr auto entry_rules = std::to_array<EntryRule>({
    {"entry-must-be-1", &section_entry,
     ones_as_demanded<entry_controls, Msr::vmx_entry_ctls, Msr::vmx_true_entry_ctls>,
     fields(entry_controls, Msr::vmx_true_entry_ctls)},
    {"entry-must-be-0", &section_entry,
     no_others<entry_controls, Msr::vmx_entry_ctls, Msr::vmx_true_entry_ctls>,
     fields(entry_controls, Msr::vmx_true_entry_ctls)},
    {"inject-type", &section_entry, event_type_not_reserved,
     fields(entry_interruption_information)},
    {"inject-nmi-vector", &section_entry, vector_in_range<EventType::nmi, 2, 2>,
     fields(entry_interruption_information)},
    {"inject-exception-vector", &section_entry,
     vector_in_range<EventType::hardware_exception, 0, 31>, fields(entry_interruption_information)},
    {"inject-other-vector", &section_entry, vector_in_range<EventType::other, 0, 0>,
     fields(entry_interruption_information)},
    {"inject-error-code-due", &section_entry,
     [](VmcsUnderTest& x) {
         const auto event = x.read(entry_interruption_information);
         const bool missing = injects(x) && event.has_error_code == 0 && may_push_error_code(x) &&
                              pushes_error_code(event.vector) && !any_error_code(x);
         return broken_by(missing ? bit(11) : 0);
     },
     fields(entry_interruption_information, guest_cr0, Msr::vmx_basic)},
    {"inject-error-code-not-due", &section_entry,
     [](VmcsUnderTest& x) {
         const auto event = x.read(entry_interruption_information);
         const bool wrong =
             injects(x) && event.has_error_code != 0 &&
             (!may_push_error_code(x) || (!pushes_error_code(event.vector) && !any_error_code(x)));
         return broken_by(wrong ? bit(11) : 0);
     },
     fields(entry_interruption_information, guest_cr0, Msr::vmx_basic)},
    {"inject-reserved", &section_entry,
     [](VmcsUnderTest& x) {
         return injects(x) ? broken_by(x.raw(entry_interruption_information) & bits(30, 12))
                           : holds;
     },
     fields(entry_interruption_information)},
    // Our edition of the manual, 060US, says 31:15, and newer ones 31:16. They are right: bit 15
    // belongs to a selector's index.
    {"inject-error-code-reserved", &section_entry,
     [](VmcsUnderTest& x) {
         const bool applies =
             injects(x) && x.read(entry_interruption_information).has_error_code != 0;
         return applies ? broken_by(x.raw(entry_exception_error_code) & bits(31, 16)) : holds;
     },
     fields(entry_exception_error_code, entry_interruption_information)},
    {"inject-length", &section_entry, instruction_length_in_range,
     fields(entry_instruction_length, entry_interruption_information)},
    {"inject-length-0", &section_entry, instruction_length_not_0,
     fields(entry_instruction_length, entry_interruption_information, Msr::vmx_misc)},
    {"entry-msr-load-aligned", &section_entry,
     clear<has_entries<entry_msr_load_count>, entry_msr_load_address, bits(3, 0)>,
     fields(entry_msr_load_address, entry_msr_load_count)},
    {"entry-msr-load-width", &section_entry,
     within_width<has_entries<entry_msr_load_count>, entry_msr_load_address>,
     fields(entry_msr_load_address, entry_msr_load_count)},
    {"entry-msr-load-end", &section_entry,
     last_byte_within_width<entry_msr_load_count, entry_msr_load_address>,
     fields(entry_msr_load_count, entry_msr_load_address)},
    {"entry-to-smm", &section_entry, only_in_smm<EntryControl::entry_to_smm>,
     fields(entry_controls, Fact::in_smm)},
    {"entry-deactivate-dual-monitor", &section_entry,
     only_in_smm<EntryControl::deactivate_dual_monitor>, fields(entry_controls, Fact::in_smm)},
    {"entry-smm-not-both", &section_entry,
     [](VmcsUnderTest& x) {
         const bool both =
             x.has(EntryControl::entry_to_smm) && x.has(EntryControl::deactivate_dual_monitor);
         return broken_by(both ? bits(11, 10) : 0);
     },
     fields(entry_controls)},
});

}  // namespace hvp::vmx::checks
