// The rules for the VM-execution control fields.
// [SDM 3C 26.2.1.1 "VM-Execution Control Fields"]
#pragma once

#include "hypervisor/vmcs/entry_checks/entry_rule.hpp"

namespace hvp::vmx::checks {

inline constexpr Citation section_execution{"3C", "26.2.1.1", "VM-Execution Control Fields"};

/// Two rules that every page has whose address stands in the VMCS.
#define HVP_PAGE(ID, USED, FIELD)                                                          \
    {ID "-aligned", &section_execution, clear<USED, FIELD, bits(11, 0)>, fields(FIELD)}, { \
        ID "-width", &section_execution, within_width<USED, FIELD>, fields(FIELD)          \
    }

/// The first word of the virtual-APIC page's TPR: bits 7:4 are the class of virtual priority.
/// [SDM 3C 29.1.1 "Virtualized APIC Registers"]
[[nodiscard]] inline CheckResult threshold_not_above_vtpr(VmcsUnderTest& x) {
    constexpr std::uint64_t vtpr_offset = 0x80;
    if (!x.has(Primary::use_tpr_shadow) || x.has(Secondary::virtualize_apic_accesses) ||
        x.has(Secondary::virtual_interrupt_delivery)) {
        return holds;
    }
    const std::uint64_t vtpr = x.memory(x.raw(virtual_apic_address) + vtpr_offset);
    return broken_if((x.raw(tpr_threshold) & bits(3, 0)) > (vtpr >> 4 & bits(3, 0)));
}

[[nodiscard]] inline bool uses_eptp_switching(VmcsUnderTest& x) {
    constexpr std::uint64_t eptp_switching = 1;  // [SDM 3C 24.6.14 "VM-Function Controls"]
    return x.has(Secondary::enable_vm_functions) &&
           (x.raw(vm_function_controls) & eptp_switching) != 0;
}

[[nodiscard]] inline CheckResult supported_ept_memory_type(VmcsUnderTest& x) {
    if (!x.has(Secondary::enable_ept)) {
        return holds;
    }
    const auto capability = x.msr<ept::Capability>(Msr::vmx_ept_vpid_cap);
    const std::uint64_t type = x.read(ept_pointer).tables_memory_type;
    const bool supported = (type == 0 && capability.tables_uncacheable != 0) ||
                           (type == memory_type_write_back && capability.tables_write_back != 0);
    return {.broken = !supported, .wrong_bits = supported ? 0 : bits(2, 0)};
}

[[nodiscard]] inline CheckResult supported_ept_walk(VmcsUnderTest& x) {
    if (!x.has(Secondary::enable_ept)) {
        return holds;
    }
    const std::uint64_t levels = x.read(ept_pointer).walk_length_minus_1 + 1U;
    // Bit 7 of the MSR is reserved in our edition; newer ones have walks of five levels there.
    const bool five = x.msr<ept::Capability>(Msr::vmx_ept_vpid_cap).reserved_7 != 0;
    const bool supported = levels == 4 || (levels == 5 && five);
    return {.broken = !supported, .wrong_bits = supported ? 0 : bits(5, 3)};
}

[[nodiscard]] inline CheckResult supported_ept_flags(VmcsUnderTest& x) {
    if (!x.has(Secondary::enable_ept) || x.read(ept_pointer).accessed_and_dirty == 0) {
        return holds;
    }
    const auto capability = x.msr<ept::Capability>(Msr::vmx_ept_vpid_cap);
    return broken_by(capability.accessed_and_dirty == 0 ? bit(6) : 0);
}

[[nodiscard]] inline CheckResult ept_pointer_reserved(VmcsUnderTest& x) {
    if (!x.has(Secondary::enable_ept)) {
        return holds;
    }
    const std::uint64_t pointer = x.raw(ept_pointer);
    const std::uint64_t low = pointer & bits(11, 7);
    // Bit 7 has a meaning where supervisor shadow-stack control is supported.
    // [SDM 3D A.10 "VPID and EPT Capabilities"]
    const bool shadow_stack =
        (low & bit(7)) != 0 &&
        x.msr<ept::Capability>(Msr::vmx_ept_vpid_cap).supervisor_shadow_stack != 0;
    return broken_by((shadow_stack ? low & ~bit(7) : low) | x.beyond_width(pointer & ~bits(11, 0)));
}

[[nodiscard]] inline CheckResult vm_functions_supported(VmcsUnderTest& x) {
    if (!x.has(Secondary::enable_vm_functions)) {
        return holds;
    }
    return broken_by(x.raw(vm_function_controls) & ~x.raw(item(Msr::vmx_vmfunc)));
}

[[nodiscard]] inline CheckResult secondary_supported(VmcsUnderTest& x) {
    if (!x.has(Primary::activate_secondary_controls)) {
        return holds;
    }
    const auto capability = ControlCapability::from_msr(x.raw(item(Msr::vmx_procbased_ctls2)));
    return broken_by(x.raw(secondary_processor_based_controls) &
                     ~std::uint64_t{capability.may_be_one});
}

[[nodiscard]] inline CheckResult cr3_targets_supported(VmcsUnderTest& x) {
    const std::uint64_t count = x.raw(cr3_target_count);
    return broken_if(count != 0 && count > (x.raw(item(Msr::vmx_misc)) >> 16 & 0x1FF));
}

inline constexpr auto execution_rules = std::to_array<EntryRule>({
    {"pin-must-be-1", &section_execution, ones_as_demanded<pin_based_controls, Msr::vmx_pinbased_ctls, Msr::vmx_true_pinbased_ctls>,
     fields(pin_based_controls, Msr::vmx_true_pinbased_ctls)},
    {"pin-must-be-0", &section_execution, no_others<pin_based_controls, Msr::vmx_pinbased_ctls, Msr::vmx_true_pinbased_ctls>,
     fields(pin_based_controls, Msr::vmx_true_pinbased_ctls)},
    {"primary-must-be-1", &section_execution, ones_as_demanded<primary_processor_based_controls, Msr::vmx_procbased_ctls,
                      Msr::vmx_true_procbased_ctls>,
     fields(primary_processor_based_controls, Msr::vmx_true_procbased_ctls)},
    {"primary-must-be-0", &section_execution, no_others<primary_processor_based_controls, Msr::vmx_procbased_ctls,
               Msr::vmx_true_procbased_ctls>,
     fields(primary_processor_based_controls, Msr::vmx_true_procbased_ctls)},
    {"secondary-must-be-0", &section_execution, secondary_supported, fields(secondary_processor_based_controls, Msr::vmx_procbased_ctls2)},
    {"cr3-target-count", &section_execution, cr3_targets_supported, fields(cr3_target_count, Msr::vmx_misc)},
    HVP_PAGE("io-bitmap-a", when<Primary::use_io_bitmaps>, io_bitmap_a_address),
    HVP_PAGE("io-bitmap-b", when<Primary::use_io_bitmaps>, io_bitmap_b_address),
    HVP_PAGE("msr-bitmap", when<Primary::use_msr_bitmaps>, msr_bitmap_address),
    HVP_PAGE("virtual-apic", when<Primary::use_tpr_shadow>, virtual_apic_address),
    {"tpr-threshold-reserved", &section_execution, [](VmcsUnderTest& x) {
         const bool applies =
             x.has(Primary::use_tpr_shadow) && !x.has(Secondary::virtual_interrupt_delivery);
         return applies ? broken_by(x.raw(tpr_threshold) & bits(31, 4)) : holds;
     },
     fields(tpr_threshold, primary_processor_based_controls)},
    {"tpr-threshold-vtpr", &section_execution, threshold_not_above_vtpr, fields(tpr_threshold, virtual_apic_address)},
    {"virtual-nmis-need-nmi-exiting", &section_execution, needs<Pin::virtual_nmis, Pin::nmi_exiting>, fields(pin_based_controls)},
    {"nmi-window-needs-virtual-nmis", &section_execution, needs<Primary::nmi_window_exiting, Pin::virtual_nmis>,
     fields(primary_processor_based_controls, pin_based_controls)},
    HVP_PAGE("apic-access", when<Secondary::virtualize_apic_accesses>, apic_access_address),
    {"x2apic-needs-tpr-shadow", &section_execution, needs<Secondary::virtualize_x2apic_mode, Primary::use_tpr_shadow>,
     fields(secondary_processor_based_controls, primary_processor_based_controls)},
    {"apic-registers-need-tpr-shadow", &section_execution, needs<Secondary::apic_register_virtualization, Primary::use_tpr_shadow>,
     fields(secondary_processor_based_controls, primary_processor_based_controls)},
    {"virtual-interrupts-need-tpr-shadow", &section_execution, needs<Secondary::virtual_interrupt_delivery, Primary::use_tpr_shadow>,
     fields(secondary_processor_based_controls, primary_processor_based_controls)},
    {"x2apic-or-apic-accesses", &section_execution, [](VmcsUnderTest& x) {
         const bool both =
             x.has(Secondary::virtualize_x2apic_mode) && x.has(Secondary::virtualize_apic_accesses);
         return broken_by(both ? bit(4) | bit(0) : 0);
     },
     fields(secondary_processor_based_controls)},
    {"virtual-interrupts-need-exits", &section_execution, needs<Secondary::virtual_interrupt_delivery, Pin::external_interrupt_exiting>,
     fields(secondary_processor_based_controls, pin_based_controls)},
    {"posted-need-virtual-interrupts", &section_execution, needs<Pin::process_posted_interrupts, Secondary::virtual_interrupt_delivery>,
     fields(pin_based_controls, secondary_processor_based_controls)},
    {"posted-need-acknowledge", &section_execution, needs<Pin::process_posted_interrupts, ExitControl::acknowledge_interrupt_on_exit>,
     fields(pin_based_controls, exit_controls)},
    {"posted-vector", &section_execution, clear<when<Pin::process_posted_interrupts>, posted_interrupt_vector, bits(15, 8)>,
     fields(posted_interrupt_vector)},
    {"posted-descriptor-aligned", &section_execution, clear<when<Pin::process_posted_interrupts>, posted_interrupt_descriptor_address, bits(5, 0)>,
     fields(posted_interrupt_descriptor_address)},
    {"posted-descriptor-width", &section_execution, within_width<when<Pin::process_posted_interrupts>, posted_interrupt_descriptor_address>,
     fields(posted_interrupt_descriptor_address)},
    {"vpid-not-0", &section_execution, [](VmcsUnderTest& x) {
         return broken_if(x.has(Secondary::enable_vpid) &&
                          x.raw(virtual_processor_identifier) == 0);
     },
     fields(virtual_processor_identifier)},
    {"eptp-memory-type", &section_execution, supported_ept_memory_type, fields(ept_pointer, Msr::vmx_ept_vpid_cap)},
    {"eptp-walk-length", &section_execution, supported_ept_walk, fields(ept_pointer, Msr::vmx_ept_vpid_cap)},
    {"eptp-accessed-dirty", &section_execution, supported_ept_flags,
     fields(ept_pointer, Msr::vmx_ept_vpid_cap)},
    {"eptp-reserved", &section_execution, ept_pointer_reserved, fields(ept_pointer)},
    {"pml-needs-ept", &section_execution, needs<Secondary::enable_pml, Secondary::enable_ept>,
     fields(secondary_processor_based_controls)},
    HVP_PAGE("pml", when<Secondary::enable_pml>, pml_address),
    {"unrestricted-needs-ept", &section_execution, needs<Secondary::unrestricted_guest, Secondary::enable_ept>,
     fields(secondary_processor_based_controls)},
    {"mode-based-execute-needs-ept", &section_execution, needs<Secondary::mode_based_execute_control, Secondary::enable_ept>,
     fields(secondary_processor_based_controls)},
    {"vm-functions-supported", &section_execution, vm_functions_supported,
     fields(vm_function_controls, Msr::vmx_vmfunc)},
    {"eptp-switching-needs-ept", &section_execution, [](VmcsUnderTest& x) {
         return uses_eptp_switching(x) && !x.has(Secondary::enable_ept) ? broken_by(bit(0)) : holds;
     },
     fields(vm_function_controls, secondary_processor_based_controls)},
    HVP_PAGE("eptp-list", uses_eptp_switching, eptp_list_address),
    HVP_PAGE("vmread-bitmap", when<Secondary::vmcs_shadowing>, vmread_bitmap_address),
    HVP_PAGE("vmwrite-bitmap", when<Secondary::vmcs_shadowing>, vmwrite_bitmap_address),
    HVP_PAGE("ve-information", when<Secondary::ept_violation_exception>, virtualization_exception_address),
});

#undef HVP_PAGE

}  // namespace hvp::vmx::checks
