#include "tool/explain/dumps/kernel_dumps.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <span>
#include <string>

#include "hypervisor/vmcs/fields.hpp"

namespace hvp::tool {
namespace {

using namespace vmx;

struct DumpName {
    std::string_view name;  ///< lower case, no blanks
    std::uint32_t encoding;
};

constexpr auto guest_names = std::to_array<DumpName>({
    {"cr0:actual", guest_cr0.encoding},
    {"cr0:shadow", cr0_read_shadow.encoding},
    {"cr0:gh_mask", cr0_guest_host_mask.encoding},
    {"cr4:actual", guest_cr4.encoding},
    {"cr4:shadow", cr4_read_shadow.encoding},
    {"cr4:gh_mask", cr4_guest_host_mask.encoding},
    {"cr3", guest_cr3.encoding},
    {"cr3:actual", guest_cr3.encoding},
    {"cr3:target_count", cr3_target_count.encoding},
    {"target_count", cr3_target_count.encoding},
    {"pdptr0", guest_pdpte0.encoding},
    {"pdptr1", guest_pdpte1.encoding},
    {"pdptr2", guest_pdpte2.encoding},
    {"pdptr3", guest_pdpte3.encoding},
    {"pdpte0", guest_pdpte0.encoding},
    {"pdpte1", guest_pdpte1.encoding},
    {"pdpte2", guest_pdpte2.encoding},
    {"pdpte3", guest_pdpte3.encoding},
    {"rsp", guest_rsp.encoding},
    {"rip", guest_rip.encoding},
    {"rflags", guest_rflags.encoding},
    {"dr7", guest_dr7.encoding},
    {"sysenterrsp", guest_sysenter_esp.encoding},
    {"sysentercs", guest_sysenter_cs.encoding},
    {"sysenterrip", guest_sysenter_eip.encoding},
    {"efer", guest_efer.encoding},
    {"efer(vmcs)", guest_efer.encoding},
    {"pat", guest_pat.encoding},
    {"preemptiontimer", guest_preemption_timer_value.encoding},
    {"smbase", guest_smbase.encoding},
    {"debugctl", guest_debugctl.encoding},
    {"debugexceptions", guest_pending_debug_exceptions.encoding},
    {"perfglobctl", guest_perf_global_ctrl.encoding},
    {"bndcfgs", guest_bndcfgs.encoding},
    {"s_cet", guest_s_cet.encoding},
    {"ssp", guest_ssp.encoding},
    {"isst", guest_interrupt_ssp_table.encoding},
    {"interruptibility", guest_interruptibility_state.encoding},
    {"activitystate", guest_activity_state.encoding},
    {"interruptstatus", guest_interrupt_status.encoding},
});

constexpr auto host_names = std::to_array<DumpName>({
    {"rip", host_rip.encoding},
    {"rsp", host_rsp.encoding},
    {"cs", host_cs_selector.encoding},
    {"ss", host_ss_selector.encoding},
    {"ds", host_ds_selector.encoding},
    {"es", host_es_selector.encoding},
    {"fs", host_fs_selector.encoding},
    {"gs", host_gs_selector.encoding},
    {"tr", host_tr_selector.encoding},
    {"fsbase", host_fs_base.encoding},
    {"gsbase", host_gs_base.encoding},
    {"trbase", host_tr_base.encoding},
    {"gdtbase", host_gdtr_base.encoding},
    {"idtbase", host_idtr_base.encoding},
    {"cr0", host_cr0.encoding},
    {"cr3", host_cr3.encoding},
    {"cr4", host_cr4.encoding},
    {"sysenterrsp", host_sysenter_esp.encoding},
    {"sysentercs", host_sysenter_cs.encoding},
    {"sysenterrip", host_sysenter_eip.encoding},
    {"efer", host_efer.encoding},
    {"pat", host_pat.encoding},
    {"perfglobctl", host_perf_global_ctrl.encoding},
    {"s_cet", host_s_cet.encoding},
    {"ssp", host_ssp.encoding},
    {"isst", host_interrupt_ssp_table.encoding},
});

constexpr auto control_names = std::to_array<DumpName>({
    {"pinbased", pin_based_controls.encoding},
    {"cpubased", primary_processor_based_controls.encoding},
    {"secondaryexec", secondary_processor_based_controls.encoding},
    {"tertiaryexec", tertiary_processor_based_controls.encoding},
    {"entrycontrols", entry_controls.encoding},
    {"exitcontrols", exit_controls.encoding},
    {"exceptionbitmap", exception_bitmap.encoding},
    {"pfecmask", page_fault_error_code_mask.encoding},
    {"pfecmatch", page_fault_error_code_match.encoding},
    {"vmentry:intr_info", entry_interruption_information.encoding},
    {"vmentry:errcode", entry_exception_error_code.encoding},
    {"vmentry:ilen", entry_instruction_length.encoding},
    {"vmexit:intr_info", exit_interruption_information.encoding},
    {"vmexit:errcode", exit_interruption_error_code.encoding},
    {"vmexit:ilen", exit_instruction_length.encoding},
    {"reason", exit_reason.encoding},
    {"qualification", exit_qualification.encoding},
    {"idtvectoring:info", idt_vectoring_information.encoding},
    {"idtvectoring:errcode", idt_vectoring_error_code.encoding},
    {"tscoffset", tsc_offset.encoding},
    {"tscmultiplier", tsc_multiplier.encoding},
    {"tprthreshold", tpr_threshold.encoding},
    {"postedintrvec", posted_interrupt_vector.encoding},
    {"apic-accessaddr", apic_access_address.encoding},
    {"virt-apicaddr", virtual_apic_address.encoding},
    {"eptpointer", ept_pointer.encoding},
    {"eptpindex", eptp_index.encoding},
    {"plegap", pause_loop_gap.encoding},
    {"window", pause_loop_window.encoding},
    {"virtualprocessorid", virtual_processor_identifier.encoding},
    {"vmfunccontrols", vm_function_controls.encoding},
    {"cr3targetcount", cr3_target_count.encoding},
});

std::string compact(std::string_view name) {
    std::string result;
    for (const char letter : name) {
        const auto byte = static_cast<unsigned char>(letter);
        if (std::isspace(byte) == 0 && letter != ',') {
            result += static_cast<char>(std::tolower(byte));
        }
    }
    return result;
}

std::span<const DumpName> names_of(DumpPart part) {
    switch (part) {
        case DumpPart::none:
            return {};
        case DumpPart::guest:
            return guest_names;
        case DumpPart::host:
            return host_names;
        case DumpPart::controls:
            return control_names;
    }
    return {};
}

}  // namespace

std::optional<DumpPart> part_of_heading(std::string_view line) {
    constexpr std::size_t longest_heading = 200;
    if (line.size() > longest_heading || !line.contains("***")) {
        return std::nullopt;
    }
    const std::string text = compact(line);
    return text.contains("gueststate")     ? std::optional{DumpPart::guest}
           : text.contains("hoststate")    ? std::optional{DumpPart::host}
           : text.contains("controlstate") ? std::optional{DumpPart::controls}
                                           : std::nullopt;
}

std::optional<std::uint32_t> encoding_in_part(DumpPart part, std::string_view name) {
    const std::span<const DumpName> names = names_of(part);
    constexpr std::size_t longest_name = 64;
    if (name.size() > longest_name) {
        return std::nullopt;
    }
    const std::string wanted = compact(name);
    const auto found = std::ranges::find(names, wanted, &DumpName::name);
    return found == names.end() ? std::nullopt : std::optional{found->encoding};
}

bool is_without_fields(std::string_view line) {
    const bool is_first_line = line.contains("last attempted VM-entry on CPU");
    const bool is_msr = line.contains("msr=") && line.contains("value=");
    return is_first_line || is_msr;
}

}  // namespace hvp::tool
