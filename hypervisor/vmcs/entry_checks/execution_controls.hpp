// The rules for the VM-execution control fields.
// [SDM 3C 26.2.1.1 "VM-Execution Control Fields"]
#pragma once

#include "hypervisor/vmcs/entry_checks/entry_rule.hpp"

namespace hvp::vmx::checks {

inline constexpr Citation section_execution{"3C", "26.2.1.1", "VM-Execution Control Fields"};

/// Two rules that every page has whose address stands in the VMCS.
#define HVP_PAGE(ID, NAME, USED, FIELD, WHEN)                                                    \
    {ID "-aligned",                                                                              \
     &section_execution,                                                                         \
     WHEN ", bits 11:0 of the " NAME " are 0.",                                                  \
     "Give a physical address of a whole 4-KByte page; the processor reads it without "          \
     "translation and takes no offset.",                                                         \
     clear<USED, FIELD, bits(11, 0)>,                                                            \
     about(FIELD)},                                                                              \
    {                                                                                            \
        ID "-width", &section_execution,                                                         \
            WHEN ", the " NAME " has no bits beyond the processor's physical-address width.",    \
            "Give the page's physical address; what stands here looks like a linear one, or is " \
            "larger than this processor's memory can be (CPUID.80000008H:EAX[7:0]).",            \
            within_width<USED, FIELD>, about(FIELD)                                              \
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
    {"pin-must-be-1", &section_execution,
     "The pin-based controls have a 1 wherever the processor demands one.",
     "Compute the word: (wanted | low half of the capability MSR) & high half. The MSR is "
     "IA32_VMX_TRUE_PINBASED_CTLS (48DH) if IA32_VMX_BASIC[55] is 1, else IA32_VMX_PINBASED_CTLS "
     "(481H).",
     ones_as_demanded<pin_based_controls, Msr::vmx_pinbased_ctls, Msr::vmx_true_pinbased_ctls>,
     about(pin_based_controls, Msr::vmx_true_pinbased_ctls)},
    {"pin-must-be-0", &section_execution,
     "The pin-based controls have no 1 that this processor does not support.",
     "Do without the control, or refuse to start on this processor: the high half of "
     "IA32_VMX_(TRUE_)PINBASED_CTLS has a 0 there.",
     no_others<pin_based_controls, Msr::vmx_pinbased_ctls, Msr::vmx_true_pinbased_ctls>,
     about(pin_based_controls, Msr::vmx_true_pinbased_ctls)},
    {"primary-must-be-1", &section_execution,
     "The primary processor-based controls have a 1 wherever the processor demands one.",
     "Compute the word: (wanted | low half of the capability MSR) & high half. The MSR is "
     "IA32_VMX_TRUE_PROCBASED_CTLS (48EH) if IA32_VMX_BASIC[55] is 1, else "
     "IA32_VMX_PROCBASED_CTLS (482H).",
     ones_as_demanded<primary_processor_based_controls, Msr::vmx_procbased_ctls,
                      Msr::vmx_true_procbased_ctls>,
     about(primary_processor_based_controls, Msr::vmx_true_procbased_ctls)},
    {"primary-must-be-0", &section_execution,
     "The primary processor-based controls have no 1 that this processor does not support.",
     "Do without the control: the high half of IA32_VMX_(TRUE_)PROCBASED_CTLS has a 0 there.",
     no_others<primary_processor_based_controls, Msr::vmx_procbased_ctls,
               Msr::vmx_true_procbased_ctls>,
     about(primary_processor_based_controls, Msr::vmx_true_procbased_ctls)},
    {"secondary-must-be-0", &section_execution,
     "With \"activate secondary controls\", the secondary controls have no 1 that this processor "
     "does not support.",
     "Do without the control: bits 63:32 of IA32_VMX_PROCBASED_CTLS2 (48BH) have a 0 there.",
     secondary_supported, about(secondary_processor_based_controls, Msr::vmx_procbased_ctls2)},
    {"cr3-target-count", &section_execution,
     "The CR3-target count is not larger than what IA32_VMX_MISC[24:16] reports (4 so far).",
     "Write 0 unless CR3-target values are used; a field that was never written may hold anything.",
     cr3_targets_supported, about(cr3_target_count, Msr::vmx_misc)},
    HVP_PAGE("io-bitmap-a", "address of I/O bitmap A", on<Primary::use_io_bitmaps>,
             io_bitmap_a_address, "With \"use I/O bitmaps\""),
    HVP_PAGE("io-bitmap-b", "address of I/O bitmap B", on<Primary::use_io_bitmaps>,
             io_bitmap_b_address, "With \"use I/O bitmaps\""),
    HVP_PAGE("msr-bitmap", "address of MSR bitmaps", on<Primary::use_msr_bitmaps>,
             msr_bitmap_address, "With \"use MSR bitmaps\""),
    HVP_PAGE("virtual-apic", "virtual-APIC address", on<Primary::use_tpr_shadow>,
             virtual_apic_address, "With \"use TPR shadow\""),
    {"tpr-threshold-reserved", &section_execution,
     "With \"use TPR shadow\" and without \"virtual-interrupt delivery\", bits 31:4 of the TPR "
     "threshold are 0.",
     "The threshold is a class of priorities, 0 to 15: write TPR >> 4.",
     [](VmcsUnderTest& x) {
         const bool applies =
             x.has(Primary::use_tpr_shadow) && !x.has(Secondary::virtual_interrupt_delivery);
         return applies ? broken_by(x.raw(tpr_threshold) & bits(31, 4)) : holds;
     },
     about(tpr_threshold, primary_processor_based_controls)},
    {"tpr-threshold-vtpr", &section_execution,
     "With \"use TPR shadow\" and without \"virtualize APIC accesses\" and \"virtual-interrupt "
     "delivery\", the TPR threshold is not above bits 7:4 of the virtual TPR.",
     "Lower the threshold, or write the guest's TPR to offset 80H of the virtual-APIC page "
     "first: otherwise the guest would exit at once.",
     threshold_not_above_vtpr, about(tpr_threshold, virtual_apic_address)},
    {"virtual-nmis-need-nmi-exiting", &section_execution,
     "\"Virtual NMIs\" is 1 only with \"NMI exiting\".",
     "Set \"NMI exiting\", too (bit 3): only a VMM that takes NMIs can hand out virtual ones.",
     needs<Pin::virtual_nmis, Pin::nmi_exiting>, about(pin_based_controls)},
    {"nmi-window-needs-virtual-nmis", &section_execution,
     "\"NMI-window exiting\" is 1 only with \"virtual NMIs\".",
     "Set \"virtual NMIs\" (pin-based, bit 5) and \"NMI exiting\" (bit 3), or ask for no NMI "
     "window.",
     needs<Primary::nmi_window_exiting, Pin::virtual_nmis>,
     about(primary_processor_based_controls, pin_based_controls)},
    HVP_PAGE("apic-access", "APIC-access address", on<Secondary::virtualize_apic_accesses>,
             apic_access_address, "With \"virtualize APIC accesses\""),
    {"x2apic-needs-tpr-shadow", &section_execution,
     "\"Virtualize x2APIC mode\" is 1 only with \"use TPR shadow\".",
     "Set \"use TPR shadow\" (primary, bit 21) and give a virtual-APIC page.",
     needs<Secondary::virtualize_x2apic_mode, Primary::use_tpr_shadow>,
     about(secondary_processor_based_controls, primary_processor_based_controls)},
    {"apic-registers-need-tpr-shadow", &section_execution,
     "\"APIC-register virtualization\" is 1 only with \"use TPR shadow\".",
     "Set \"use TPR shadow\" (primary, bit 21) and give a virtual-APIC page.",
     needs<Secondary::apic_register_virtualization, Primary::use_tpr_shadow>,
     about(secondary_processor_based_controls, primary_processor_based_controls)},
    {"virtual-interrupts-need-tpr-shadow", &section_execution,
     "\"Virtual-interrupt delivery\" is 1 only with \"use TPR shadow\".",
     "Set \"use TPR shadow\" (primary, bit 21) and give a virtual-APIC page.",
     needs<Secondary::virtual_interrupt_delivery, Primary::use_tpr_shadow>,
     about(secondary_processor_based_controls, primary_processor_based_controls)},
    {"x2apic-or-apic-accesses", &section_execution,
     "\"Virtualize x2APIC mode\" and \"virtualize APIC accesses\" are not both 1.",
     "Choose by the guest's mode: MSRs 800H-8FFH for x2APIC, a page for xAPIC.",
     [](VmcsUnderTest& x) {
         const bool both =
             x.has(Secondary::virtualize_x2apic_mode) && x.has(Secondary::virtualize_apic_accesses);
         return broken_by(both ? bit(4) | bit(0) : 0);
     },
     about(secondary_processor_based_controls)},
    {"virtual-interrupts-need-exits", &section_execution,
     "\"Virtual-interrupt delivery\" is 1 only with \"external-interrupt exiting\".",
     "Set \"external-interrupt exiting\" (pin-based, bit 0): real interrupts must reach the VMM.",
     needs<Secondary::virtual_interrupt_delivery, Pin::external_interrupt_exiting>,
     about(secondary_processor_based_controls, pin_based_controls)},
    {"posted-need-virtual-interrupts", &section_execution,
     "\"Process posted interrupts\" is 1 only with \"virtual-interrupt delivery\".",
     "Set \"virtual-interrupt delivery\" (secondary, bit 9), which delivers what was posted.",
     needs<Pin::process_posted_interrupts, Secondary::virtual_interrupt_delivery>,
     about(pin_based_controls, secondary_processor_based_controls)},
    {"posted-need-acknowledge", &section_execution,
     "\"Process posted interrupts\" is 1 only with the VM-exit control \"acknowledge interrupt on "
     "exit\".",
     "Set \"acknowledge interrupt on exit\" (VM-exit controls, bit 15).",
     needs<Pin::process_posted_interrupts, ExitControl::acknowledge_interrupt_on_exit>,
     about(pin_based_controls, exit_controls)},
    {"posted-vector", &section_execution,
     "With \"process posted interrupts\", the notification vector is 0 to 255.",
     "Write the vector of the notification interrupt; bits 15:8 are 0.",
     clear<on<Pin::process_posted_interrupts>, posted_interrupt_vector, bits(15, 8)>,
     about(posted_interrupt_vector)},
    {"posted-descriptor-aligned", &section_execution,
     "With \"process posted interrupts\", bits 5:0 of the descriptor's address are 0.",
     "The posted-interrupt descriptor is 64 bytes and aligned to 64.",
     clear<on<Pin::process_posted_interrupts>, posted_interrupt_descriptor_address, bits(5, 0)>,
     about(posted_interrupt_descriptor_address)},
    {"posted-descriptor-width", &section_execution,
     "With \"process posted interrupts\", the descriptor's address has no bits beyond the "
     "processor's physical-address width.",
     "Give the descriptor's physical address.",
     within_width<on<Pin::process_posted_interrupts>, posted_interrupt_descriptor_address>,
     about(posted_interrupt_descriptor_address)},
    {"vpid-not-0", &section_execution, "With \"enable VPID\", the VPID is not 0000H.",
     "Write 1 or more: 0 is the host's own tag in the TLB.",
     [](VmcsUnderTest& x) {
         return broken_if(x.has(Secondary::enable_vpid) &&
                          x.raw(virtual_processor_identifier) == 0);
     },
     about(virtual_processor_identifier)},
    {"eptp-memory-type", &section_execution,
     "With \"enable EPT\", bits 2:0 of the EPTP are a memory type that the processor supports for "
     "EPT paging structures.",
     "Write 6 (write-back), or 0 (uncacheable) where IA32_VMX_EPT_VPID_CAP[8] is 1.",
     supported_ept_memory_type, about(ept_pointer, Msr::vmx_ept_vpid_cap)},
    {"eptp-walk-length", &section_execution,
     "With \"enable EPT\", bits 5:3 of the EPTP are 3: a page walk of length 4.",
     "The field is the length *less one*: write 3 there, so that the low byte is 1EH for "
     "write-back tables.",
     supported_ept_walk, about(ept_pointer, Msr::vmx_ept_vpid_cap)},
    {"eptp-accessed-dirty", &section_execution,
     "With \"enable EPT\", bit 6 of the EPTP is 1 only if the processor supports accessed and "
     "dirty flags for EPT.",
     "Clear bit 6, or check IA32_VMX_EPT_VPID_CAP[21] first.", supported_ept_flags,
     about(ept_pointer, Msr::vmx_ept_vpid_cap)},
    {"eptp-reserved", &section_execution,
     "With \"enable EPT\", bits 11:7 of the EPTP and those beyond the processor's physical-address "
     "width are 0.",
     "The EPTP is the *physical* address of the EPT PML4 table, aligned to 4 KBytes, plus bits "
     "6:0.",
     ept_pointer_reserved, about(ept_pointer)},
    {"pml-needs-ept", &section_execution, "\"Enable PML\" is 1 only with \"enable EPT\".",
     "Set \"enable EPT\" (secondary, bit 1): PML logs what EPT's dirty flags say.",
     needs<Secondary::enable_pml, Secondary::enable_ept>,
     about(secondary_processor_based_controls)},
    HVP_PAGE("pml", "PML address", on<Secondary::enable_pml>, pml_address, "With \"enable PML\""),
    {"unrestricted-needs-ept", &section_execution,
     "\"Unrestricted guest\" is 1 only with \"enable EPT\".",
     "Set \"enable EPT\" (secondary, bit 1): a guest without paging needs somebody's tables.",
     needs<Secondary::unrestricted_guest, Secondary::enable_ept>,
     about(secondary_processor_based_controls)},
    {"mode-based-execute-needs-ept", &section_execution,
     "\"Mode-based execute control for EPT\" is 1 only with \"enable EPT\".",
     "Set \"enable EPT\" (secondary, bit 1).",
     needs<Secondary::mode_based_execute_control, Secondary::enable_ept>,
     about(secondary_processor_based_controls)},
    {"vm-functions-supported", &section_execution,
     "With \"enable VM functions\", the VM-function controls have no 1 that IA32_VMX_VMFUNC lacks.",
     "Clear the bit: IA32_VMX_VMFUNC (491H) has a 0 there.", vm_functions_supported,
     about(vm_function_controls, Msr::vmx_vmfunc)},
    {"eptp-switching-needs-ept", &section_execution,
     "\"EPTP switching\" is 1 only with \"enable EPT\".",
     "Set \"enable EPT\" (secondary, bit 1), or clear bit 0 of the VM-function controls.",
     [](VmcsUnderTest& x) {
         return uses_eptp_switching(x) && !x.has(Secondary::enable_ept) ? broken_by(bit(0)) : holds;
     },
     about(vm_function_controls, secondary_processor_based_controls)},
    HVP_PAGE("eptp-list", "EPTP-list address", uses_eptp_switching, eptp_list_address,
             "With \"EPTP switching\""),
    HVP_PAGE("vmread-bitmap", "VMREAD-bitmap address", on<Secondary::vmcs_shadowing>,
             vmread_bitmap_address, "With \"VMCS shadowing\""),
    HVP_PAGE("vmwrite-bitmap", "VMWRITE-bitmap address", on<Secondary::vmcs_shadowing>,
             vmwrite_bitmap_address, "With \"VMCS shadowing\""),
    HVP_PAGE("ve-information", "virtualization-exception information address",
             on<Secondary::ept_violation_exception>, virtualization_exception_address,
             "With \"EPT-violation #VE\""),
});

#undef HVP_PAGE

}  // namespace hvp::vmx::checks
