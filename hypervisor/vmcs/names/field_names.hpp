// The fields of a VMCS for people: what each is called, by whom, and how its value is read.
//
// The encodings are those of fields.hpp. Only the host's tool and the tests include this; a driver
// speaks of a field by its encoding.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "hypervisor/vmcs/fields.hpp"

namespace hvp::vmx {

/// How the value of a field is to be read.
enum class Shape : std::uint8_t {
    number,
    address,
    selector,
    access_rights,
    pin_controls,
    primary_controls,
    secondary_controls,
    exit_controls,
    entry_controls,
    vm_functions,
    cr0,
    cr4,
    rflags,
    efer,
    debugctl,
    pat,
    ept_pointer,
    interruption,
    interruptibility,
    activity,
    pending_debug,
    exception_bitmap,
    exit_reason,
    instruction_error,
};

/// A field for people.
struct FieldFacts {
    std::uint32_t encoding;
    const char* name;        ///< the SDM's, appendix B
    const char* identifier;  ///< ours, in fields.hpp; of a segment's field the first of its row
    const char* common;      ///< Linux', which many headers share
    Shape shape{Shape::number};

    [[nodiscard]] constexpr Width width() const { return static_cast<Width>(encoding >> 13 & 3); }
    [[nodiscard]] constexpr Area area() const { return static_cast<Area>(encoding >> 10 & 3); }
    /// In bits.
    [[nodiscard]] constexpr unsigned bits() const {
        return width() == Width::bits16 ? 16 : width() == Width::bits32 ? 32 : 64;
    }
};

// A macro, as only the preprocessor can make text of an identifier.
#define HVP_FIELD(identifier, name, common, shape) \
    {identifier.encoding, name, #identifier, common, Shape::shape}
#define HVP_SEGMENT(NAME, index)                                                                  \
    {nth(guest_es_selector, SegmentIndex::index), "Guest " NAME " selector", "guest_es_selector", \
     "GUEST_" NAME "_SELECTOR", Shape::selector},                                                 \
        {nth(guest_es_limit, SegmentIndex::index), "Guest " NAME " limit", "guest_es_limit",      \
         "GUEST_" NAME "_LIMIT", Shape::number},                                                  \
        {nth(guest_es_rights, SegmentIndex::index), "Guest " NAME " access rights",               \
         "guest_es_rights", "GUEST_" NAME "_AR_BYTES", Shape::access_rights},                     \
    {                                                                                             \
        nth(guest_es_base, SegmentIndex::index), "Guest " NAME " base", "guest_es_base",          \
            "GUEST_" NAME "_BASE", Shape::address                                                 \
    }

/// All fields, ascending by encoding.  [SDM 3D B.1 "16-Bit Fields"] to
/// [SDM 3D B.4 "Natural-Width Fields"]
inline constexpr auto field_facts = [] {
    auto all = std::to_array<FieldFacts>({
        HVP_SEGMENT("ES", es),
        HVP_SEGMENT("CS", cs),
        HVP_SEGMENT("SS", ss),
        HVP_SEGMENT("DS", ds),
        HVP_SEGMENT("FS", fs),
        HVP_SEGMENT("GS", gs),
        HVP_SEGMENT("LDTR", ldtr),
        HVP_SEGMENT("TR", tr),
        // Controls.
        HVP_FIELD(virtual_processor_identifier, "Virtual-processor identifier (VPID)",
                  "VIRTUAL_PROCESSOR_ID", number),
        HVP_FIELD(posted_interrupt_vector, "Posted-interrupt notification vector", "POSTED_INTR_NV",
                  number),
        HVP_FIELD(eptp_index, "EPTP index", "EPTP_INDEX", number),
        HVP_FIELD(io_bitmap_a_address, "Address of I/O bitmap A", "IO_BITMAP_A", address),
        HVP_FIELD(io_bitmap_b_address, "Address of I/O bitmap B", "IO_BITMAP_B", address),
        HVP_FIELD(msr_bitmap_address, "Address of MSR bitmaps", "MSR_BITMAP", address),
        HVP_FIELD(exit_msr_store_address, "VM-exit MSR-store address", "VM_EXIT_MSR_STORE_ADDR",
                  address),
        HVP_FIELD(exit_msr_load_address, "VM-exit MSR-load address", "VM_EXIT_MSR_LOAD_ADDR",
                  address),
        HVP_FIELD(entry_msr_load_address, "VM-entry MSR-load address", "VM_ENTRY_MSR_LOAD_ADDR",
                  address),
        HVP_FIELD(executive_vmcs_pointer, "Executive-VMCS pointer", "EXECUTIVE_VMCS_POINTER",
                  address),
        HVP_FIELD(pml_address, "PML address", "PML_ADDRESS", address),
        HVP_FIELD(tsc_offset, "TSC offset", "TSC_OFFSET", number),
        HVP_FIELD(virtual_apic_address, "Virtual-APIC address", "VIRTUAL_APIC_PAGE_ADDR", address),
        HVP_FIELD(apic_access_address, "APIC-access address", "APIC_ACCESS_ADDR", address),
        HVP_FIELD(posted_interrupt_descriptor_address, "Posted-interrupt descriptor address",
                  "POSTED_INTR_DESC_ADDR", address),
        HVP_FIELD(vm_function_controls, "VM-function controls", "VM_FUNCTION_CONTROL",
                  vm_functions),
        HVP_FIELD(ept_pointer, "EPT pointer (EPTP)", "EPT_POINTER", ept_pointer),
        HVP_FIELD(eoi_exit_bitmap_0, "EOI-exit bitmap 0", "EOI_EXIT_BITMAP0", number),
        HVP_FIELD(eoi_exit_bitmap_1, "EOI-exit bitmap 1", "EOI_EXIT_BITMAP1", number),
        HVP_FIELD(eoi_exit_bitmap_2, "EOI-exit bitmap 2", "EOI_EXIT_BITMAP2", number),
        HVP_FIELD(eoi_exit_bitmap_3, "EOI-exit bitmap 3", "EOI_EXIT_BITMAP3", number),
        HVP_FIELD(eptp_list_address, "EPTP-list address", "EPTP_LIST_ADDRESS", address),
        HVP_FIELD(vmread_bitmap_address, "VMREAD-bitmap address", "VMREAD_BITMAP", address),
        HVP_FIELD(vmwrite_bitmap_address, "VMWRITE-bitmap address", "VMWRITE_BITMAP", address),
        HVP_FIELD(virtualization_exception_address, "Virtualization-exception information address",
                  "VE_INFORMATION_ADDRESS", address),
        HVP_FIELD(xss_exiting_bitmap, "XSS-exiting bitmap", "XSS_EXIT_BITMAP", number),
        HVP_FIELD(encls_exiting_bitmap, "ENCLS-exiting bitmap", "ENCLS_EXITING_BITMAP", number),
        HVP_FIELD(sub_page_permission_table_pointer, "Sub-page-permission-table pointer",
                  "SPPT_POINTER", address),
        HVP_FIELD(tsc_multiplier, "TSC multiplier", "TSC_MULTIPLIER", number),
        HVP_FIELD(tertiary_processor_based_controls,
                  "Tertiary processor-based VM-execution controls", "TERTIARY_VM_EXEC_CONTROL",
                  number),
        HVP_FIELD(enclv_exiting_bitmap, "ENCLV-exiting bitmap", "ENCLV_EXITING_BITMAP", number),
        HVP_FIELD(pin_based_controls, "Pin-based VM-execution controls",
                  "PIN_BASED_VM_EXEC_CONTROL", pin_controls),
        HVP_FIELD(primary_processor_based_controls, "Primary processor-based VM-execution controls",
                  "CPU_BASED_VM_EXEC_CONTROL", primary_controls),
        HVP_FIELD(exception_bitmap, "Exception bitmap", "EXCEPTION_BITMAP", exception_bitmap),
        HVP_FIELD(page_fault_error_code_mask, "Page-fault error-code mask",
                  "PAGE_FAULT_ERROR_CODE_MASK", number),
        HVP_FIELD(page_fault_error_code_match, "Page-fault error-code match",
                  "PAGE_FAULT_ERROR_CODE_MATCH", number),
        HVP_FIELD(cr3_target_count, "CR3-target count", "CR3_TARGET_COUNT", number),
        HVP_FIELD(exit_controls, "VM-exit controls", "VM_EXIT_CONTROLS", exit_controls),
        HVP_FIELD(exit_msr_store_count, "VM-exit MSR-store count", "VM_EXIT_MSR_STORE_COUNT",
                  number),
        HVP_FIELD(exit_msr_load_count, "VM-exit MSR-load count", "VM_EXIT_MSR_LOAD_COUNT", number),
        HVP_FIELD(entry_controls, "VM-entry controls", "VM_ENTRY_CONTROLS", entry_controls),
        HVP_FIELD(entry_msr_load_count, "VM-entry MSR-load count", "VM_ENTRY_MSR_LOAD_COUNT",
                  number),
        HVP_FIELD(entry_interruption_information, "VM-entry interruption-information field",
                  "VM_ENTRY_INTR_INFO_FIELD", interruption),
        HVP_FIELD(entry_exception_error_code, "VM-entry exception error code",
                  "VM_ENTRY_EXCEPTION_ERROR_CODE", number),
        HVP_FIELD(entry_instruction_length, "VM-entry instruction length",
                  "VM_ENTRY_INSTRUCTION_LEN", number),
        HVP_FIELD(tpr_threshold, "TPR threshold", "TPR_THRESHOLD", number),
        HVP_FIELD(secondary_processor_based_controls,
                  "Secondary processor-based VM-execution controls", "SECONDARY_VM_EXEC_CONTROL",
                  secondary_controls),
        HVP_FIELD(pause_loop_gap, "PLE_Gap", "PLE_GAP", number),
        HVP_FIELD(pause_loop_window, "PLE_Window", "PLE_WINDOW", number),
        HVP_FIELD(cr0_guest_host_mask, "CR0 guest/host mask", "CR0_GUEST_HOST_MASK", cr0),
        HVP_FIELD(cr4_guest_host_mask, "CR4 guest/host mask", "CR4_GUEST_HOST_MASK", cr4),
        HVP_FIELD(cr0_read_shadow, "CR0 read shadow", "CR0_READ_SHADOW", cr0),
        HVP_FIELD(cr4_read_shadow, "CR4 read shadow", "CR4_READ_SHADOW", cr4),
        HVP_FIELD(cr3_target_value_0, "CR3-target value 0", "CR3_TARGET_VALUE0", address),
        HVP_FIELD(cr3_target_value_1, "CR3-target value 1", "CR3_TARGET_VALUE1", address),
        HVP_FIELD(cr3_target_value_2, "CR3-target value 2", "CR3_TARGET_VALUE2", address),
        HVP_FIELD(cr3_target_value_3, "CR3-target value 3", "CR3_TARGET_VALUE3", address),
        // Information about exits.
        HVP_FIELD(guest_physical_address, "Guest-physical address", "GUEST_PHYSICAL_ADDRESS",
                  address),
        HVP_FIELD(vm_instruction_error, "VM-instruction error", "VM_INSTRUCTION_ERROR",
                  instruction_error),
        HVP_FIELD(exit_reason, "Exit reason", "VM_EXIT_REASON", exit_reason),
        HVP_FIELD(exit_interruption_information, "VM-exit interruption information",
                  "VM_EXIT_INTR_INFO", interruption),
        HVP_FIELD(exit_interruption_error_code, "VM-exit interruption error code",
                  "VM_EXIT_INTR_ERROR_CODE", number),
        HVP_FIELD(idt_vectoring_information, "IDT-vectoring information field",
                  "IDT_VECTORING_INFO_FIELD", interruption),
        HVP_FIELD(idt_vectoring_error_code, "IDT-vectoring error code", "IDT_VECTORING_ERROR_CODE",
                  number),
        HVP_FIELD(exit_instruction_length, "VM-exit instruction length", "VM_EXIT_INSTRUCTION_LEN",
                  number),
        HVP_FIELD(exit_instruction_information, "VM-exit instruction information",
                  "VMX_INSTRUCTION_INFO", number),
        HVP_FIELD(exit_qualification, "Exit qualification", "EXIT_QUALIFICATION", number),
        HVP_FIELD(io_rcx, "I/O RCX", "IO_RCX", number),
        HVP_FIELD(io_rsi, "I/O RSI", "IO_RSI", number),
        HVP_FIELD(io_rdi, "I/O RDI", "IO_RDI", number),
        HVP_FIELD(io_rip, "I/O RIP", "IO_RIP", address),
        HVP_FIELD(guest_linear_address, "Guest-linear address", "GUEST_LINEAR_ADDRESS", address),
        // The guest's state.
        HVP_FIELD(guest_interrupt_status, "Guest interrupt status", "GUEST_INTR_STATUS", number),
        HVP_FIELD(guest_pml_index, "PML index", "GUEST_PML_INDEX", number),
        HVP_FIELD(guest_vmcs_link_pointer, "VMCS link pointer", "VMCS_LINK_POINTER", address),
        HVP_FIELD(guest_debugctl, "Guest IA32_DEBUGCTL", "GUEST_IA32_DEBUGCTL", debugctl),
        HVP_FIELD(guest_pat, "Guest IA32_PAT", "GUEST_IA32_PAT", pat),
        HVP_FIELD(guest_efer, "Guest IA32_EFER", "GUEST_IA32_EFER", efer),
        HVP_FIELD(guest_perf_global_ctrl, "Guest IA32_PERF_GLOBAL_CTRL",
                  "GUEST_IA32_PERF_GLOBAL_CTRL", number),
        HVP_FIELD(guest_pdpte0, "Guest PDPTE0", "GUEST_PDPTR0", address),
        HVP_FIELD(guest_pdpte1, "Guest PDPTE1", "GUEST_PDPTR1", address),
        HVP_FIELD(guest_pdpte2, "Guest PDPTE2", "GUEST_PDPTR2", address),
        HVP_FIELD(guest_pdpte3, "Guest PDPTE3", "GUEST_PDPTR3", address),
        HVP_FIELD(guest_bndcfgs, "Guest IA32_BNDCFGS", "GUEST_BNDCFGS", number),
        HVP_FIELD(guest_rtit_ctl, "Guest IA32_RTIT_CTL", "GUEST_IA32_RTIT_CTL", number),
        HVP_FIELD(guest_pkrs, "Guest IA32_PKRS", "GUEST_IA32_PKRS", number),
        HVP_FIELD(guest_gdtr_limit, "Guest GDTR limit", "GUEST_GDTR_LIMIT", number),
        HVP_FIELD(guest_idtr_limit, "Guest IDTR limit", "GUEST_IDTR_LIMIT", number),
        HVP_FIELD(guest_interruptibility_state, "Guest interruptibility state",
                  "GUEST_INTERRUPTIBILITY_INFO", interruptibility),
        HVP_FIELD(guest_activity_state, "Guest activity state", "GUEST_ACTIVITY_STATE", activity),
        HVP_FIELD(guest_smbase, "Guest SMBASE", "GUEST_SMBASE", address),
        HVP_FIELD(guest_sysenter_cs, "Guest IA32_SYSENTER_CS", "GUEST_SYSENTER_CS", number),
        HVP_FIELD(guest_preemption_timer_value, "VMX-preemption timer value",
                  "VMX_PREEMPTION_TIMER_VALUE", number),
        HVP_FIELD(guest_cr0, "Guest CR0", "GUEST_CR0", cr0),
        HVP_FIELD(guest_cr3, "Guest CR3", "GUEST_CR3", address),
        HVP_FIELD(guest_cr4, "Guest CR4", "GUEST_CR4", cr4),
        HVP_FIELD(guest_gdtr_base, "Guest GDTR base", "GUEST_GDTR_BASE", address),
        HVP_FIELD(guest_idtr_base, "Guest IDTR base", "GUEST_IDTR_BASE", address),
        HVP_FIELD(guest_dr7, "Guest DR7", "GUEST_DR7", number),
        HVP_FIELD(guest_rsp, "Guest RSP", "GUEST_RSP", address),
        HVP_FIELD(guest_rip, "Guest RIP", "GUEST_RIP", address),
        HVP_FIELD(guest_rflags, "Guest RFLAGS", "GUEST_RFLAGS", rflags),
        HVP_FIELD(guest_pending_debug_exceptions, "Guest pending debug exceptions",
                  "GUEST_PENDING_DBG_EXCEPTIONS", pending_debug),
        HVP_FIELD(guest_sysenter_esp, "Guest IA32_SYSENTER_ESP", "GUEST_SYSENTER_ESP", address),
        HVP_FIELD(guest_sysenter_eip, "Guest IA32_SYSENTER_EIP", "GUEST_SYSENTER_EIP", address),
        HVP_FIELD(guest_s_cet, "Guest IA32_S_CET", "GUEST_S_CET", number),
        HVP_FIELD(guest_ssp, "Guest SSP", "GUEST_SSP", address),
        HVP_FIELD(guest_interrupt_ssp_table, "Guest IA32_INTERRUPT_SSP_TABLE_ADDR",
                  "GUEST_INTR_SSP_TABLE", address),
        // The host's state.
        HVP_FIELD(host_es_selector, "Host ES selector", "HOST_ES_SELECTOR", selector),
        HVP_FIELD(host_cs_selector, "Host CS selector", "HOST_CS_SELECTOR", selector),
        HVP_FIELD(host_ss_selector, "Host SS selector", "HOST_SS_SELECTOR", selector),
        HVP_FIELD(host_ds_selector, "Host DS selector", "HOST_DS_SELECTOR", selector),
        HVP_FIELD(host_fs_selector, "Host FS selector", "HOST_FS_SELECTOR", selector),
        HVP_FIELD(host_gs_selector, "Host GS selector", "HOST_GS_SELECTOR", selector),
        HVP_FIELD(host_tr_selector, "Host TR selector", "HOST_TR_SELECTOR", selector),
        HVP_FIELD(host_pat, "Host IA32_PAT", "HOST_IA32_PAT", pat),
        HVP_FIELD(host_efer, "Host IA32_EFER", "HOST_IA32_EFER", efer),
        HVP_FIELD(host_perf_global_ctrl, "Host IA32_PERF_GLOBAL_CTRL", "HOST_IA32_PERF_GLOBAL_CTRL",
                  number),
        HVP_FIELD(host_pkrs, "Host IA32_PKRS", "HOST_IA32_PKRS", number),
        HVP_FIELD(host_sysenter_cs, "Host IA32_SYSENTER_CS", "HOST_IA32_SYSENTER_CS", number),
        HVP_FIELD(host_cr0, "Host CR0", "HOST_CR0", cr0),
        HVP_FIELD(host_cr3, "Host CR3", "HOST_CR3", address),
        HVP_FIELD(host_cr4, "Host CR4", "HOST_CR4", cr4),
        HVP_FIELD(host_fs_base, "Host FS base", "HOST_FS_BASE", address),
        HVP_FIELD(host_gs_base, "Host GS base", "HOST_GS_BASE", address),
        HVP_FIELD(host_tr_base, "Host TR base", "HOST_TR_BASE", address),
        HVP_FIELD(host_gdtr_base, "Host GDTR base", "HOST_GDTR_BASE", address),
        HVP_FIELD(host_idtr_base, "Host IDTR base", "HOST_IDTR_BASE", address),
        HVP_FIELD(host_sysenter_esp, "Host IA32_SYSENTER_ESP", "HOST_IA32_SYSENTER_ESP", address),
        HVP_FIELD(host_sysenter_eip, "Host IA32_SYSENTER_EIP", "HOST_IA32_SYSENTER_EIP", address),
        HVP_FIELD(host_rsp, "Host RSP", "HOST_RSP", address),
        HVP_FIELD(host_rip, "Host RIP", "HOST_RIP", address),
        HVP_FIELD(host_s_cet, "Host IA32_S_CET", "HOST_S_CET", number),
        HVP_FIELD(host_ssp, "Host SSP", "HOST_SSP", address),
        HVP_FIELD(host_interrupt_ssp_table, "Host IA32_INTERRUPT_SSP_TABLE_ADDR",
                  "HOST_INTR_SSP_TABLE", address),
    });
    std::ranges::sort(all, {}, &FieldFacts::encoding);
    return all;
}();

#undef HVP_FIELD
#undef HVP_SEGMENT

static_assert(std::ranges::adjacent_find(field_facts, {}, &FieldFacts::encoding) ==
              field_facts.end());

/// Returns  the field with this encoding; null when the SDM has none.
[[nodiscard]] constexpr const FieldFacts* find_field(std::uint32_t encoding) {
    const auto found = std::ranges::lower_bound(field_facts, encoding, {}, &FieldFacts::encoding);
    return found != field_facts.end() && found->encoding == encoding ? &*found : nullptr;
}

}  // namespace hvp::vmx
