#include "tests/unit/vmcs/entry_checks/subject.hpp"

#include <algorithm>
#include <cctype>

namespace hvp::vmx::checks {
namespace {

void set_segment(Subject& x, Index s, std::uint64_t selector, std::uint64_t base,
                 std::uint64_t limit, std::uint64_t rights) {
    x.set(of(guest_es_selector, s), selector);
    x.set(of(guest_es_base, s), base);
    x.set(of(guest_es_limit, s), limit);
    x.set(of(guest_es_rights, s), rights);
}

constexpr std::uint64_t flat = 0xFFFF'FFFF;
constexpr auto code_and_data = {Index::es, Index::cs, Index::ss, Index::ds, Index::fs, Index::gs};

// Every control that the processor knows may be 1, and none must be.
void set_processor(Subject& x) {
    x.set(Msr::vmx_basic, 0x00D8'1000'0000'002B);
    for (const Msr msr :
         {Msr::vmx_true_pinbased_ctls, Msr::vmx_true_procbased_ctls, Msr::vmx_procbased_ctls2,
          Msr::vmx_true_exit_ctls, Msr::vmx_true_entry_ctls}) {
        x.set(msr, 0xFFFF'FFFF'0000'0000);
    }
    x.set(Msr::vmx_misc, 0x6004'01E0);
    x.set(Msr::vmx_cr0_fixed0, 0x8000'0021).set(Msr::vmx_cr0_fixed1, 0xFFFF'FFFF);
    x.set(Msr::vmx_cr4_fixed0, 0x2000).set(Msr::vmx_cr4_fixed1, 0x01FF'FFFF);
    x.set(Msr::vmx_ept_vpid_cap, 0x0F01'0633'4141).set(Msr::vmx_vmfunc, 1);

    x.set(Fact::physical_address_bits, 40).set(Fact::linear_address_bits, 48);
    x.set(Fact::has_intel_64, 1).set(Fact::has_sgx, 1).set(Fact::has_rtm, 1);
    x.set(Fact::perf_global_ctrl_mask, 0x7'0000'000F).set(Fact::nmi_under_sti_refused, 1);
    x.set(Fact::in_smm, 0).set(Fact::in_ia32e_mode, 1).set(Fact::outside_64_bit_mode, 0);
    x.set(Fact::privilege_level, 0).set(Fact::has_current_vmcs, 1);
    x.set(Fact::current_vmcs_is_shadow, 0).set(Fact::current_vmcs_pointer, 0x7000);
    x.set(Fact::blocking_by_mov_ss, 0).set(Fact::by_vmresume, 0).set(Fact::is_launched, 0);
}

void set_controls(Subject& x) {
    x.on(Primary::activate_secondary_controls);
    x.on(ExitControl::host_address_space_size, EntryControl::ia32e_mode_guest);
    x.set(pin_based_controls, 0).set(secondary_processor_based_controls, 0);
    x.set(cr3_target_count, 0).set(exit_msr_store_count, 0).set(exit_msr_load_count, 0);
    x.set(entry_msr_load_count, 0).set(entry_interruption_information, 0);
    x.set(entry_exception_error_code, 0).set(entry_instruction_length, 0);
    x.set(vm_instruction_error, 0);
}

void set_host(Subject& x) {
    x.set(host_cr0, 0x8005'0033).set(host_cr3, 0x001A'A000).set(host_cr4, 0x0000'26F8);
    x.set(host_es_selector, 0x28).set(host_cs_selector, 0x10).set(host_ss_selector, 0x18);
    x.set(host_ds_selector, 0x28).set(host_fs_selector, 0x50).set(host_gs_selector, 0x28);
    x.set(host_tr_selector, 0x40);
    x.set(host_fs_base, 0).set(host_gs_base, 0xFFFF'F800'0001'0000);
    x.set(host_tr_base, 0xFFFF'F800'0002'0000).set(host_gdtr_base, 0xFFFF'F800'0003'0000);
    x.set(host_idtr_base, 0xFFFF'F800'0004'0000);
    x.set(host_sysenter_esp, 0).set(host_sysenter_eip, 0);
    x.set(host_rip, 0xFFFF'F800'0010'1000);
}

void set_guest(Subject& x) {
    x.set(guest_cr0, 0x8005'0033).set(guest_cr3, 0x001A'A000).set(guest_cr4, 0x0000'26F8);
    x.set(guest_dr7, 0x400).set(guest_debugctl, 0);
    x.set(guest_sysenter_esp, 0).set(guest_sysenter_eip, 0);
    set_segment(x, Index::es, 0x2B, 0, flat, 0xC0F3);
    set_segment(x, Index::cs, 0x10, 0, 0, 0x209B);
    set_segment(x, Index::ss, 0x18, 0, 0, 0x4093);
    set_segment(x, Index::ds, 0x2B, 0, flat, 0xC0F3);
    set_segment(x, Index::fs, 0x53, 0, 0x3C00, 0x40F3);
    set_segment(x, Index::gs, 0x2B, 0xFFFF'F800'0001'0000, flat, 0xC0F3);
    set_segment(x, Index::ldtr, 0, 0, 0, 0x1'0000);
    set_segment(x, Index::tr, 0x40, 0xFFFF'F800'0002'0000, 0x67, 0x8B);
    x.set(guest_gdtr_base, 0xFFFF'F800'0003'0000).set(guest_gdtr_limit, 0x57);
    x.set(guest_idtr_base, 0xFFFF'F800'0004'0000).set(guest_idtr_limit, 0xFFF);
    x.set(guest_rip, 0xFFFF'F800'0010'2000).set(guest_rflags, 0x202);
    x.set(guest_activity_state, 0).set(guest_interruptibility_state, 0);
    x.set(guest_pending_debug_exceptions, 0).set(guest_vmcs_link_pointer, ~0ULL);
}

}  // namespace

Subject windows_guest() {
    Subject x;
    set_processor(x);
    set_controls(x);
    set_host(x);
    set_guest(x);
    return x;
}

void make_32_bit(Subject& x) {
    x.off(EntryControl::ia32e_mode_guest);
    x.set(guest_cr4, 0x26D8);  // without PAE
    x.set(guest_rip, 0x0010'2000);
    x.set(of(guest_es_rights, Index::cs), 0xC09B).set(of(guest_es_limit, Index::cs), flat);
    x.set(of(guest_es_rights, Index::ss), 0xC093).set(of(guest_es_limit, Index::ss), flat);
}

void make_8086(Subject& x) {
    make_32_bit(x);
    x.add(guest_rflags, bit(17));
    for (const Index s : code_and_data) {
        set_segment(x, s, 0x1000, 0x1'0000, 0xFFFF, 0xF3);
    }
}

void make_real_mode(Subject& x) {
    make_32_bit(x);
    x.on(Secondary::unrestricted_guest, Secondary::enable_ept);
    x.set(ept_pointer, 0x5000'001E);
    x.remove(guest_cr0, pe_and_pg);
    for (const Index s : code_and_data) {
        set_segment(x, s, 0x1000, 0x1'0000, 0xFFFF, s == Index::cs ? 0x9B : 0x93);
    }
}

void make_32_bit_host(Subject& x) {
    make_32_bit(x);
    x.set(Fact::in_ia32e_mode, 0);
    x.off(ExitControl::host_address_space_size);
    x.set(host_rip, 0x0010'1000);
}

std::string id_of(const EntryRule& rule) {
    std::string id = rule.id;
    if (const std::size_t place = id.find("{}"); place != std::string::npos) {
        std::string subject = rule.subject;
        std::ranges::transform(subject, subject.begin(), [](unsigned char letter) {
            return static_cast<char>(std::tolower(letter));
        });
        id.replace(place, 2, subject);
    }
    return id;
}

Report report_on(const Subject& subject) {
    Report report;
    examine(subject, subject,
            [&](const EntryRule& rule, CheckResult, std::span<const Item> missing) {
                (missing.empty() ? report.broken : report.unchecked).push_back(id_of(rule));
            });
    return report;
}

}  // namespace hvp::vmx::checks
