// Cases for the basic checks and for those on VMX controls.
#include "tests/unit/vmcs/entry_checks/subject.hpp"

namespace hvp::vmx::checks {
namespace {

void nothing(Subject&) {}

constexpr std::uint64_t page = 0x5000;
constexpr std::uint64_t beyond_40_bits = 1ULL << 40;

/// The two cases of an address of a page.
template <auto field, void (*valid)(Subject&)>
void add_page(std::vector<Case>& cases, const std::string& name) {
    cases.push_back({name + "-aligned",
                     [](Subject& x) {
                         valid(x);
                         x.set(field, page);
                     },
                     [](Subject& x) { x.set(field, page + 8); }});
    cases.push_back({name + "-width",
                     [](Subject& x) {
                         valid(x);
                         x.set(field, beyond_40_bits - 0x1000);
                     },
                     [](Subject& x) { x.set(field, beyond_40_bits); }});
}

/// An area with one MSR, at addresses that VM entry may read, for the area that it does read.
template <auto count, auto address>
void with_area(Subject& x) {
    x.set(count, 1).set(address, page);
    for (const std::uint64_t at : {page, page + 4, beyond_40_bits - 16, beyond_40_bits}) {
        x.set_memory(at, 0x10).set_memory(at + 8, 0);
    }
}

/// The three cases of an area with MSRs.
template <auto count, auto address>
void add_area(std::vector<Case>& cases, const std::string& name) {
    cases.push_back({name + "-aligned", with_area<count, address>,
                     [](Subject& x) { x.set(address, page + 4); }});
    cases.push_back({name + "-width", with_area<count, address>,
                     [](Subject& x) { x.set(address, beyond_40_bits); }});
    cases.push_back({name + "-end",
                     [](Subject& x) {
                         with_area<count, address>(x);
                         x.set(address, beyond_40_bits - 16);
                     },
                     [](Subject& x) { x.set(count, 2); }});
}

void basic(std::vector<Case>& cases) {
    cases.push_back(
        {"basic-mode", nothing, [](Subject& x) { x.set(Fact::outside_64_bit_mode, 1); }});
    cases.push_back({"basic-cpl", nothing, [](Subject& x) { x.set(Fact::privilege_level, 3); }});
    cases.push_back(
        {"basic-current-vmcs", nothing, [](Subject& x) { x.set(Fact::has_current_vmcs, 0); }});
    cases.push_back(
        {"basic-not-shadow", nothing, [](Subject& x) { x.set(Fact::current_vmcs_is_shadow, 1); }});
    cases.push_back(
        {"basic-mov-ss", nothing, [](Subject& x) { x.set(Fact::blocking_by_mov_ss, 1); }});
    cases.push_back(
        {"basic-vmlaunch-clear", nothing, [](Subject& x) { x.set(Fact::is_launched, 1); }});
    cases.push_back({"basic-vmresume-launched",
                     [](Subject& x) { x.set(Fact::by_vmresume, 1).set(Fact::is_launched, 1); },
                     [](Subject& x) { x.set(Fact::is_launched, 0); }});
}

/// Controls that must be 1, and such as must be 0.
template <auto field, Msr capability>
void add_capability(std::vector<Case>& cases, const std::string& name) {
    cases.push_back({name + "-must-be-1",
                     [](Subject& x) { x.add(capability, bit(1)).add(field, bit(1)); },
                     [](Subject& x) { x.remove(field, bit(1)); }});
    cases.push_back({name + "-must-be-0",
                     [](Subject& x) { x.remove(capability, bit(32 + 27)).remove(field, bit(27)); },
                     [](Subject& x) { x.add(field, bit(27)); }});
}

void with_tpr_shadow(Subject& x) {
    x.on(Primary::use_tpr_shadow).set(virtual_apic_address, page).set(tpr_threshold, 0);
    for (const std::uint64_t at : {page, page + 8, beyond_40_bits - 0x1000, beyond_40_bits}) {
        x.set_memory(at + 0x80, 0x20);  // VTPR
    }
}
void with_virtual_interrupts(Subject& x) {
    with_tpr_shadow(x);
    x.on(Secondary::virtual_interrupt_delivery, Pin::external_interrupt_exiting);
}
void with_posted_interrupts(Subject& x) {
    with_virtual_interrupts(x);
    x.on(Pin::process_posted_interrupts, ExitControl::acknowledge_interrupt_on_exit);
    x.set(posted_interrupt_vector, 0xF2).set(posted_interrupt_descriptor_address, page);
}
void with_ept(Subject& x) {
    x.on(Secondary::enable_ept).set(ept_pointer, page | 0x1E);
}
void with_eptp_switching(Subject& x) {
    with_ept(x);
    x.on(Secondary::enable_vm_functions).set(vm_function_controls, 1);
    x.set(eptp_list_address, page);
}
void with_shadowing(Subject& x) {
    x.on(Secondary::vmcs_shadowing);
    x.set(vmread_bitmap_address, page).set(vmwrite_bitmap_address, page);
}

void apic(std::vector<Case>& cases) {
    add_page<virtual_apic_address, with_tpr_shadow>(cases, "virtual-apic");
    cases.push_back({"tpr-threshold-reserved", with_tpr_shadow,
                     [](Subject& x) { x.set(tpr_threshold, 0x10); }});
    cases.push_back({"tpr-threshold-vtpr",
                     [](Subject& x) {
                         with_tpr_shadow(x);
                         x.set(tpr_threshold, 2);
                     },
                     [](Subject& x) { x.set(tpr_threshold, 3); }});
    add_page<apic_access_address, [](Subject& x) { x.on(Secondary::virtualize_apic_accesses); }>(
        cases, "apic-access");
    cases.push_back({"x2apic-needs-tpr-shadow",
                     [](Subject& x) {
                         with_tpr_shadow(x);
                         x.on(Secondary::virtualize_x2apic_mode);
                     },
                     [](Subject& x) { x.off(Primary::use_tpr_shadow); }});
    cases.push_back({"apic-registers-need-tpr-shadow",
                     [](Subject& x) {
                         with_tpr_shadow(x);
                         x.on(Secondary::apic_register_virtualization);
                     },
                     [](Subject& x) { x.off(Primary::use_tpr_shadow); }});
    cases.push_back({"virtual-interrupts-need-tpr-shadow", with_virtual_interrupts,
                     [](Subject& x) { x.off(Primary::use_tpr_shadow); }});
    cases.push_back({"x2apic-or-apic-accesses",
                     [](Subject& x) {
                         with_tpr_shadow(x);
                         x.on(Secondary::virtualize_x2apic_mode).set(apic_access_address, page);
                     },
                     [](Subject& x) { x.on(Secondary::virtualize_apic_accesses); }});
    cases.push_back({"virtual-interrupts-need-exits", with_virtual_interrupts,
                     [](Subject& x) { x.off(Pin::external_interrupt_exiting); }});
    cases.push_back({"posted-need-virtual-interrupts", with_posted_interrupts,
                     [](Subject& x) { x.off(Secondary::virtual_interrupt_delivery); }});
    cases.push_back({"posted-need-acknowledge", with_posted_interrupts,
                     [](Subject& x) { x.off(ExitControl::acknowledge_interrupt_on_exit); }});
    cases.push_back({"posted-vector", with_posted_interrupts,
                     [](Subject& x) { x.set(posted_interrupt_vector, 0x1F2); }});
    cases.push_back({"posted-descriptor-aligned",
                     [](Subject& x) {
                         with_posted_interrupts(x);
                         x.set(posted_interrupt_descriptor_address, page + 0x40);
                     },
                     [](Subject& x) { x.set(posted_interrupt_descriptor_address, page + 0x20); }});
    cases.push_back({"posted-descriptor-width", with_posted_interrupts, [](Subject& x) {
                         x.set(posted_interrupt_descriptor_address, beyond_40_bits);
                     }});
}

void ept_rules(std::vector<Case>& cases) {
    cases.push_back(
        {"vpid-not-0",
         [](Subject& x) { x.on(Secondary::enable_vpid).set(virtual_processor_identifier, 1); },
         [](Subject& x) { x.set(virtual_processor_identifier, 0); }});
    cases.push_back(
        {"eptp-memory-type", with_ept, [](Subject& x) { x.set(ept_pointer, page | 0x1A); }});
    cases.push_back(
        {"eptp-walk-length", with_ept, [](Subject& x) { x.set(ept_pointer, page | 0x26); }});
    cases.push_back({"eptp-accessed-dirty",
                     [](Subject& x) {
                         with_ept(x);
                         x.set(ept_pointer, page | 0x5E);
                     },
                     [](Subject& x) { x.remove(Msr::vmx_ept_vpid_cap, bit(21)); }});
    cases.push_back(
        {"eptp-reserved", with_ept, [](Subject& x) { x.set(ept_pointer, page | 0x9E); }});
    cases.push_back({"pml-needs-ept",
                     [](Subject& x) {
                         with_ept(x);
                         x.on(Secondary::enable_pml).set(pml_address, page);
                     },
                     [](Subject& x) { x.off(Secondary::enable_ept); }});
    add_page<pml_address, [](Subject& x) {
        with_ept(x);
        x.on(Secondary::enable_pml);
    }>(cases, "pml");
    cases.push_back({"unrestricted-needs-ept",
                     [](Subject& x) {
                         with_ept(x);
                         x.on(Secondary::unrestricted_guest);
                     },
                     [](Subject& x) { x.off(Secondary::enable_ept); }});
    cases.push_back({"mode-based-execute-needs-ept",
                     [](Subject& x) {
                         with_ept(x);
                         x.on(Secondary::mode_based_execute_control);
                     },
                     [](Subject& x) { x.off(Secondary::enable_ept); }});
    cases.push_back(
        {"vm-functions-supported",
         [](Subject& x) { x.on(Secondary::enable_vm_functions).set(vm_function_controls, 0); },
         [](Subject& x) { x.set(vm_function_controls, 2); }});
    cases.push_back({"eptp-switching-needs-ept", with_eptp_switching,
                     [](Subject& x) { x.off(Secondary::enable_ept); }});
    add_page<eptp_list_address, with_eptp_switching>(cases, "eptp-list");
    add_page<vmread_bitmap_address, with_shadowing>(cases, "vmread-bitmap");
    add_page<vmwrite_bitmap_address, with_shadowing>(cases, "vmwrite-bitmap");
    add_page<virtualization_exception_address,
             [](Subject& x) { x.on(Secondary::ept_violation_exception); }>(cases, "ve-information");
}

constexpr std::uint64_t valid_event = bit(31);
constexpr std::uint64_t error_code = bit(11);
void inject_invalid_opcode(Subject& x) {
    x.set(entry_interruption_information, valid_event | 3 << 8 | 6);
}
void inject_general_protection(Subject& x) {
    x.set(entry_interruption_information, valid_event | error_code | 3 << 8 | 13);
}
void inject_breakpoint(Subject& x) {
    x.set(entry_interruption_information, valid_event | 6 << 8 | 3);
    x.set(entry_instruction_length, 1);
}

void injection(std::vector<Case>& cases) {
    cases.push_back({"inject-type", inject_invalid_opcode, [](Subject& x) {
                         x.set(entry_interruption_information, valid_event | 1 << 8 | 6);
                     }});
    cases.push_back(
        {"inject-nmi-vector",
         [](Subject& x) { x.set(entry_interruption_information, valid_event | 2 << 8 | 2); },
         [](Subject& x) { x.set(entry_interruption_information, valid_event | 2 << 8 | 3); }});
    cases.push_back(
        {"inject-exception-vector",
         [](Subject& x) { x.set(entry_interruption_information, valid_event | 3 << 8 | 31); },
         [](Subject& x) { x.set(entry_interruption_information, valid_event | 3 << 8 | 32); }});
    cases.push_back(
        {"inject-other-vector",
         [](Subject& x) { x.set(entry_interruption_information, valid_event | 7 << 8); },
         [](Subject& x) { x.set(entry_interruption_information, valid_event | 7 << 8 | 1); }});
    cases.push_back({"inject-error-code-due", inject_general_protection,
                     [](Subject& x) { x.remove(entry_interruption_information, error_code); }});
    cases.push_back({"inject-error-code-not-due", inject_invalid_opcode,
                     [](Subject& x) { x.add(entry_interruption_information, error_code); }});
    cases.push_back({"inject-reserved", inject_invalid_opcode,
                     [](Subject& x) { x.add(entry_interruption_information, bit(12)); }});
    cases.push_back({"inject-error-code-reserved",
                     [](Subject& x) {
                         inject_general_protection(x);
                         x.set(entry_exception_error_code, 0xFFF8);
                     },
                     [](Subject& x) { x.set(entry_exception_error_code, 0x1'0000); }});
    cases.push_back({"inject-length",
                     [](Subject& x) {
                         inject_breakpoint(x);
                         x.set(entry_instruction_length, 15);
                     },
                     [](Subject& x) { x.set(entry_instruction_length, 16); }});
    cases.push_back({"inject-length-0", inject_breakpoint, [](Subject& x) {
                         x.set(entry_instruction_length, 0).remove(Msr::vmx_misc, bit(30));
                     }});
}

void switches(std::vector<Case>& cases) {
    add_capability<exit_controls, Msr::vmx_true_exit_ctls>(cases, "exit");
    cases.push_back({"exit-save-timer-needs-timer",
                     [](Subject& x) {
                         x.on(ExitControl::save_preemption_timer_value,
                              Pin::activate_preemption_timer);
                     },
                     [](Subject& x) { x.off(Pin::activate_preemption_timer); }});
    add_area<exit_msr_store_count, exit_msr_store_address>(cases, "exit-msr-store");
    add_area<exit_msr_load_count, exit_msr_load_address>(cases, "exit-msr-load");
    add_capability<entry_controls, Msr::vmx_true_entry_ctls>(cases, "entry");
    injection(cases);
    add_area<entry_msr_load_count, entry_msr_load_address>(cases, "entry-msr-load");
    cases.push_back({"entry-to-smm",
                     [](Subject& x) {
                         x.set(Fact::in_smm, 1).on(EntryControl::entry_to_smm);
                         x.set(guest_interruptibility_state, 0b100);
                     },
                     // Outside SMM the guest may not be blocked, with this control it must be.
                     [](Subject& x) { x.set(Fact::in_smm, 0); }, "guest-smi-blocking-outside-smm"});
    cases.push_back(
        {"entry-deactivate-dual-monitor",
         [](Subject& x) { x.set(Fact::in_smm, 1).on(EntryControl::deactivate_dual_monitor); },
         [](Subject& x) { x.set(Fact::in_smm, 0); }});
    cases.push_back({"entry-smm-not-both",
                     [](Subject& x) {
                         x.set(Fact::in_smm, 1).on(EntryControl::entry_to_smm);
                         x.set(guest_interruptibility_state, 0b100);
                     },
                     [](Subject& x) { x.on(EntryControl::deactivate_dual_monitor); }});
}

}  // namespace

std::vector<Case> control_cases() {
    std::vector<Case> cases;
    basic(cases);
    add_capability<pin_based_controls, Msr::vmx_true_pinbased_ctls>(cases, "pin");
    add_capability<primary_processor_based_controls, Msr::vmx_true_procbased_ctls>(cases,
                                                                                   "primary");
    cases.push_back({"secondary-must-be-0",
                     [](Subject& x) { x.remove(Msr::vmx_procbased_ctls2, bit(32 + 11)); },
                     [](Subject& x) { x.on(Secondary::rdrand_exiting); }});
    cases.push_back({"cr3-target-count", [](Subject& x) { x.set(cr3_target_count, 4); },
                     [](Subject& x) { x.set(cr3_target_count, 5); }});
    add_page<io_bitmap_a_address, [](Subject& x) {
        x.on(Primary::use_io_bitmaps).set(io_bitmap_b_address, page);
    }>(cases, "io-bitmap-a");
    add_page<io_bitmap_b_address, [](Subject& x) {
        x.on(Primary::use_io_bitmaps).set(io_bitmap_a_address, page);
    }>(cases, "io-bitmap-b");
    add_page<msr_bitmap_address, [](Subject& x) { x.on(Primary::use_msr_bitmaps); }>(cases,
                                                                                     "msr-bitmap");
    cases.push_back({"virtual-nmis-need-nmi-exiting",
                     [](Subject& x) { x.on(Pin::virtual_nmis, Pin::nmi_exiting); },
                     [](Subject& x) { x.off(Pin::nmi_exiting); }});
    cases.push_back(
        {"nmi-window-needs-virtual-nmis",
         [](Subject& x) { x.on(Pin::virtual_nmis, Pin::nmi_exiting, Primary::nmi_window_exiting); },
         [](Subject& x) { x.off(Pin::virtual_nmis); }});
    apic(cases);
    ept_rules(cases);
    switches(cases);
    return cases;
}

}  // namespace hvp::vmx::checks
