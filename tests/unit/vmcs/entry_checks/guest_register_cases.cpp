// Cases for the guest's control registers, debug registers, MSRs, descriptor tables, RIP, RFLAGS.
#include "tests/unit/vmcs/entry_checks/subject.hpp"

namespace hvp::vmx::checks {
namespace {

constexpr std::uint64_t not_canonical = 0x0000'8000'0000'0000;
constexpr std::uint64_t highest_canonical = 0x0000'7FFF'FFFF'FFFF;

void nothing(Subject&) {}

template <auto field>
void add_canonical(std::vector<Case>& cases, const std::string& id) {
    cases.push_back({id, [](Subject& x) { x.set(field, highest_canonical); },
                     [](Subject& x) { x.set(field, not_canonical); }});
}

void with_debug(Subject& x) {
    x.on(EntryControl::load_debug_controls);
}
void with_efer(Subject& x) {
    x.on(EntryControl::load_efer).set(guest_efer, 0xD01);
}
void with_bounds(Subject& x) {
    x.on(EntryControl::load_bndcfgs).set(guest_bndcfgs, 0x3);
}
void with_cet(Subject& x) {
    x.on(EntryControl::load_cet_state);
    x.set(guest_s_cet, 0).set(guest_ssp, 0).set(guest_interrupt_ssp_table, 0);
}

void control_registers(std::vector<Case>& cases) {
    cases.push_back(
        {"guest-cr0-fixed-1", make_real_mode, [](Subject& x) { x.remove(guest_cr0, bit(5)); }});
    cases.push_back({"guest-cr0-fixed-0", [](Subject& x) { x.add(guest_cr0, bits(30, 29)); },
                     [](Subject& x) { x.add(guest_cr0, bit(32)); }});
    cases.push_back(
        {"guest-cr0-pg-needs-pe", make_real_mode, [](Subject& x) { x.add(guest_cr0, bit(31)); }});
    cases.push_back(
        {"guest-cr4-fixed-1", nothing, [](Subject& x) { x.remove(guest_cr4, bit(13)); }});
    cases.push_back({"guest-cr4-fixed-0", nothing, [](Subject& x) { x.add(guest_cr4, bit(25)); }});
    cases.push_back({"guest-ia32e-needs-pg",
                     [](Subject& x) {
                         x.on(Secondary::unrestricted_guest, Secondary::enable_ept);
                         x.set(ept_pointer, 0x501E);
                     },
                     [](Subject& x) { x.remove(guest_cr0, bit(31)); }});
    cases.push_back(
        {"guest-ia32e-needs-pae", nothing, [](Subject& x) { x.remove(guest_cr4, bit(5)); }});
    cases.push_back(
        {"guest-pcide-needs-ia32e", make_32_bit, [](Subject& x) { x.add(guest_cr4, bit(17)); }});
    cases.push_back({"guest-cr3-width", [](Subject& x) { x.set(guest_cr3, bits(39, 0)); },
                     [](Subject& x) { x.add(guest_cr3, bit(40)); }});
    cases.push_back({"guest-cet-needs-wp", [](Subject& x) { x.add(guest_cr4, bit(23)); },
                     [](Subject& x) { x.remove(guest_cr0, bit(16)); }});
}

void msrs(std::vector<Case>& cases) {
    cases.push_back({"guest-debugctl-reserved",
                     [](Subject& x) {
                         with_debug(x);
                         x.set(guest_debugctl, 0xFFC3);
                     },
                     [](Subject& x) { x.add(guest_debugctl, bit(2)); }});
    cases.push_back({"guest-dr7-high", with_debug, [](Subject& x) { x.add(guest_dr7, bit(32)); }});
    add_canonical<guest_sysenter_esp>(cases, "guest-sysenter-esp");
    add_canonical<guest_sysenter_eip>(cases, "guest-sysenter-eip");
    cases.push_back({"guest-perf-global-ctrl",
                     [](Subject& x) {
                         x.on(EntryControl::load_perf_global_ctrl);
                         x.set(guest_perf_global_ctrl, 0xF);
                     },
                     [](Subject& x) { x.set(guest_perf_global_ctrl, 0x10); }});
    cases.push_back(
        {"guest-pat",
         [](Subject& x) { x.on(EntryControl::load_pat).set(guest_pat, 0x0007'0406'0007'0506); },
         [](Subject& x) { x.set(guest_pat, 0x0807'0406'0007'0506); }});
    cases.push_back(
        {"guest-efer-reserved", with_efer, [](Subject& x) { x.add(guest_efer, bit(12)); }});
    // LME goes with LMA as long as there is paging: a guest without it.
    cases.push_back({"guest-efer-lma",
                     [](Subject& x) {
                         make_real_mode(x);
                         x.on(EntryControl::load_efer).set(guest_efer, 0);
                     },
                     [](Subject& x) { x.add(guest_efer, bit(10)); }});
    cases.push_back(
        {"guest-efer-lme", with_efer, [](Subject& x) { x.remove(guest_efer, bit(8)); }});
    cases.push_back(
        {"guest-bndcfgs-reserved", with_bounds, [](Subject& x) { x.add(guest_bndcfgs, bit(2)); }});
    cases.push_back({"guest-bndcfgs-canonical", with_bounds,
                     [](Subject& x) { x.set(guest_bndcfgs, not_canonical); }});
    cases.push_back(
        {"guest-s-cet", with_cet, [](Subject& x) { x.set(guest_s_cet, bits(11, 10)); }});
    cases.push_back({"guest-ssp", with_cet, [](Subject& x) { x.set(guest_ssp, not_canonical); }});
    cases.push_back({"guest-interrupt-ssp-table", with_cet,
                     [](Subject& x) { x.set(guest_interrupt_ssp_table, not_canonical); }});
    cases.push_back({"guest-pkrs",
                     [](Subject& x) { x.on(EntryControl::load_pkrs).set(guest_pkrs, bits(31, 0)); },
                     [](Subject& x) { x.set(guest_pkrs, bit(32)); }});
}

void tables_and_rip(std::vector<Case>& cases) {
    add_canonical<guest_gdtr_base>(cases, "guest-gdtr-base");
    add_canonical<guest_idtr_base>(cases, "guest-idtr-base");
    cases.push_back({"guest-gdtr-limit", [](Subject& x) { x.set(guest_gdtr_limit, 0xFFFF); },
                     [](Subject& x) { x.set(guest_gdtr_limit, 0x1'0000); }});
    cases.push_back({"guest-idtr-limit", [](Subject& x) { x.set(guest_idtr_limit, 0xFFFF); },
                     [](Subject& x) { x.set(guest_idtr_limit, 0x1'0000); }});
    cases.push_back({"guest-rip-high",
                     [](Subject& x) {
                         x.set(of(guest_es_rights, Index::cs), 0x409B).set(guest_rip, 0xFFFF'FFFF);
                     },
                     [](Subject& x) { x.set(guest_rip, 0x1'0000'0000); }});
    add_canonical<guest_rip>(cases, "guest-rip-canonical");
    cases.push_back(
        {"guest-rflags-reserved", nothing, [](Subject& x) { x.add(guest_rflags, bit(15)); }});
    cases.push_back(
        {"guest-rflags-bit-1", nothing, [](Subject& x) { x.remove(guest_rflags, bit(1)); }});
    cases.push_back({"guest-rflags-vm",
                     [](Subject& x) {
                         make_8086(x);
                         x.add(guest_cr4, bit(5));
                         for (const std::uint64_t at : {0U, 8U, 16U, 24U}) {
                             x.set_memory(0x001A'A000 + at, 0);
                         }
                     },
                     [](Subject& x) { x.on(EntryControl::ia32e_mode_guest); }});
    cases.push_back({"guest-rflags-if",
                     [](Subject& x) { x.set(entry_interruption_information, bit(31) | 0xD1); },
                     [](Subject& x) { x.remove(guest_rflags, bit(9)); }});
}

}  // namespace

std::vector<Case> guest_register_cases() {
    std::vector<Case> cases;
    control_registers(cases);
    msrs(cases);
    tables_and_rip(cases);
    return cases;
}

}  // namespace hvp::vmx::checks
