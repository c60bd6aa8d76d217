// The rules for the VM-entry control fields, and for the event that an entry injects.
// [SDM 3C 26.2.1.3 "VM-Entry Control Fields"]
#pragma once

#include "hypervisor/arch/instruction_types.hpp"
#include "hypervisor/vmcs/entry_checks/entry_rule.hpp"

namespace hvp::vmx::checks {

inline constexpr Citation section_entry{"3C", "26.2.1.3", "VM-Entry Control Fields"};

/// Whether an event is injected; else its fields are not looked at.
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

/// Whether this event has to have the deliver-error-code bit.
[[nodiscard]] inline bool error_code_due(VmcsUnderTest& x) {
    const auto event = x.read(entry_interruption_information);
    if (!event.is(EventType::hardware_exception) || !pushes_error_code(event.vector)) {
        return false;
    }
    // In real mode, which only an unrestricted guest has, exceptions push no error code.
    return !x.has(Secondary::unrestricted_guest) ||
           x.read(guest_cr0).has(arch::Cr0::protection_enable);
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
     "The VM-entry controls have a 1 wherever the processor demands one.",
     "Compute the word: (wanted | low half of the capability MSR) & high half. The MSR is "
     "IA32_VMX_TRUE_ENTRY_CTLS (490H) if IA32_VMX_BASIC[55] is 1, else IA32_VMX_ENTRY_CTLS "
     "(484H).",
     ones_as_demanded<entry_controls, Msr::vmx_entry_ctls, Msr::vmx_true_entry_ctls>,
     about(entry_controls, Msr::vmx_true_entry_ctls)},
    {"entry-must-be-0", &section_entry,
     "The VM-entry controls have no 1 that this processor does not support.",
     "Do without the control: the high half of IA32_VMX_(TRUE_)ENTRY_CTLS has a 0 there.",
     no_others<entry_controls, Msr::vmx_entry_ctls, Msr::vmx_true_entry_ctls>,
     about(entry_controls, Msr::vmx_true_entry_ctls)},
    {"inject-type", &section_entry,
     "An injected event's type (bits 10:8) is not reserved: not 1, and 7 (other event) only where "
     "the processor has \"monitor trap flag\".",
     "0 external interrupt, 2 NMI, 3 hardware exception, 4 software interrupt, 5 privileged "
     "software exception, 6 software exception. If nothing is to be injected, clear bit 31.",
     event_type_not_reserved, about(entry_interruption_information)},
    {"inject-nmi-vector", &section_entry, "An injected NMI has vector 2.",
     "80000202H injects an NMI.", vector_in_range<EventType::nmi, 2, 2>,
     about(entry_interruption_information)},
    {"inject-exception-vector", &section_entry,
     "An injected hardware exception has a vector of at most 31.",
     "Vectors from 32 up are interrupts: type 0 (external) or 4 (INT n).",
     vector_in_range<EventType::hardware_exception, 0, 31>, about(entry_interruption_information)},
    {"inject-other-vector", &section_entry,
     "An injected \"other event\" has vector 0: a pending MTF VM exit.",
     "80000700H makes an MTF exit pending; type 7 has no other use.",
     vector_in_range<EventType::other, 0, 0>, about(entry_interruption_information)},
    {"inject-error-code-due", &section_entry,
     "An injected #DF, #TS, #NP, #SS, #GP, #PF or #AC has the deliver-error-code bit (11), unless "
     "an unrestricted guest is in real mode.",
     "Set bit 11 and write the error code to the VM-entry exception error-code field: the guest's "
     "handler pops it.",
     [](VmcsUnderTest& x) {
         const bool missing = injects(x) && error_code_due(x) &&
                              x.read(entry_interruption_information).has_error_code == 0;
         return broken_by(missing ? bit(11) : 0);
     },
     about(entry_interruption_information, guest_cr0)},
    {"inject-error-code-not-due", &section_entry,
     "An injected event has the deliver-error-code bit (11) only if it is a hardware exception "
     "that pushes one: #DF, #TS, #NP, #SS, #GP, #PF or #AC, and not in real mode.",
     "Clear bit 11: the guest's handler for this vector expects no error code.",
     [](VmcsUnderTest& x) {
         const bool wrong = injects(x) &&
                            x.read(entry_interruption_information).has_error_code != 0 &&
                            !error_code_due(x);
         return broken_by(wrong ? bit(11) : 0);
     },
     about(entry_interruption_information, guest_cr0)},
    {"inject-reserved", &section_entry, "Bits 30:12 of an injected event's field are 0.",
     "When an event is taken from the IDT-vectoring or VM-exit interruption information, clear "
     "bit 12 (NMI unblocking, undefined) before it is injected again.",
     [](VmcsUnderTest& x) {
         return injects(x) ? broken_by(x.raw(entry_interruption_information) & bits(30, 12))
                           : holds;
     },
     about(entry_interruption_information)},
    {"inject-error-code-reserved", &section_entry,
     "Bits 31:15 of the error code that is injected are 0.",
     "An error code has 15 bits; what stands here was perhaps never written.",
     [](VmcsUnderTest& x) {
         const bool applies =
             injects(x) && x.read(entry_interruption_information).has_error_code != 0;
         return applies ? broken_by(x.raw(entry_exception_error_code) & bits(31, 15)) : holds;
     },
     about(entry_exception_error_code, entry_interruption_information)},
    {"inject-length", &section_entry,
     "For a software interrupt or exception the VM-entry instruction length is at most 15.",
     "Write the length of the instruction that raised it (INT3 is 1, INT n is 2 bytes long): the "
     "processor adds it to RIP before it pushes it.",
     instruction_length_in_range, about(entry_instruction_length, entry_interruption_information)},
    {"inject-length-0", &section_entry,
     "For a software interrupt or exception the VM-entry instruction length is 0 only if "
     "IA32_VMX_MISC[30] is 1.",
     "Write the length of the instruction (INT3 is 1, INT n is 2 bytes long). For an exception "
     "that no instruction asked for, use type 3, hardware exception.",
     instruction_length_not_0,
     about(entry_instruction_length, entry_interruption_information, Msr::vmx_misc)},
    {"entry-msr-load-aligned", &section_entry,
     "With a VM-entry MSR-load count that is not 0, bits 3:0 of the area's address are 0.",
     "Align the area to 16 bytes, the size of an entry; or write a count of 0.",
     clear<has_entries<entry_msr_load_count>, entry_msr_load_address, bits(3, 0)>,
     about(entry_msr_load_address, entry_msr_load_count)},
    {"entry-msr-load-width", &section_entry,
     "With a VM-entry MSR-load count that is not 0, the area's address has no bits beyond the "
     "processor's physical-address width.",
     "Give the area's physical address; or write a count of 0.",
     within_width<has_entries<entry_msr_load_count>, entry_msr_load_address>,
     about(entry_msr_load_address, entry_msr_load_count)},
    {"entry-msr-load-end", &section_entry,
     "The last byte of the VM-entry MSR-load area, address + count * 16 - 1, is within the "
     "processor's physical-address width.",
     "Check the count: a field that was never written may hold anything.",
     last_byte_within_width<entry_msr_load_count, entry_msr_load_address>,
     about(entry_msr_load_count, entry_msr_load_address)},
    {"entry-to-smm", &section_entry, "Outside SMM, \"entry to SMM\" is 0.",
     "Clear bit 10; only an SMM-transfer monitor uses it.", only_in_smm<EntryControl::entry_to_smm>,
     about(entry_controls, Fact::in_smm)},
    {"entry-deactivate-dual-monitor", &section_entry,
     "Outside SMM, \"deactivate dual-monitor treatment\" is 0.",
     "Clear bit 11; only an SMM-transfer monitor uses it.",
     only_in_smm<EntryControl::deactivate_dual_monitor>, about(entry_controls, Fact::in_smm)},
    {"entry-smm-not-both", &section_entry,
     "\"Entry to SMM\" and \"deactivate dual-monitor treatment\" are not both 1.",
     "Clear one of bits 10 and 11.",
     [](VmcsUnderTest& x) {
         const bool both =
             x.has(EntryControl::entry_to_smm) && x.has(EntryControl::deactivate_dual_monitor);
         return broken_by(both ? bits(11, 10) : 0);
     },
     about(entry_controls)},
});

}  // namespace hvp::vmx::checks
