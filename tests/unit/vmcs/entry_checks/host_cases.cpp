// Cases for the host-state area.
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

template <auto field>
void add_selector(std::vector<Case>& cases, const std::string& name) {
    cases.push_back({"host-" + name + "-rpl-ti", [](Subject& x) { x.set(field, 0x28); },
                     [](Subject& x) { x.set(field, 0x2B); }});
}

void with_cet(Subject& x) {
    x.on(ExitControl::load_cet_state);
    x.set(host_s_cet, 0).set(host_ssp, 0).set(host_interrupt_ssp_table, 0);
}

void registers(std::vector<Case>& cases) {
    cases.push_back({"host-cr0-fixed-1", nothing, [](Subject& x) { x.remove(host_cr0, bit(5)); }});
    cases.push_back({"host-cr0-fixed-0", [](Subject& x) { x.add(host_cr0, bits(30, 29)); },
                     [](Subject& x) { x.add(host_cr0, bit(32)); }});
    cases.push_back({"host-cr4-fixed-1", nothing, [](Subject& x) { x.remove(host_cr4, bit(13)); }});
    cases.push_back({"host-cr4-fixed-0", nothing, [](Subject& x) { x.add(host_cr4, bit(25)); }});
    cases.push_back({"host-cr3-width", [](Subject& x) { x.set(host_cr3, bits(39, 0)); },
                     [](Subject& x) { x.add(host_cr3, bit(63)); }});
    add_canonical<host_sysenter_esp>(cases, "host-sysenter-esp");
    add_canonical<host_sysenter_eip>(cases, "host-sysenter-eip");
    cases.push_back({"host-perf-global-ctrl",
                     [](Subject& x) {
                         x.on(ExitControl::load_perf_global_ctrl).set(host_perf_global_ctrl, 0xF);
                     },
                     [](Subject& x) { x.set(host_perf_global_ctrl, 0x10); }});
    cases.push_back(
        {"host-pat",
         [](Subject& x) { x.on(ExitControl::load_pat).set(host_pat, 0x0007'0406'0007'0506); },
         [](Subject& x) { x.set(host_pat, 0x0007'0406'0007'0206); }});
    constexpr auto with_efer = [](Subject& x) {
        x.on(ExitControl::load_efer).set(host_efer, 0xD01);
    };
    cases.push_back({"host-efer-reserved", with_efer, [](Subject& x) { x.set(host_efer, 0xD03); }});
    cases.push_back({"host-efer-mode", with_efer, [](Subject& x) { x.set(host_efer, 0x901); }});
    cases.push_back({"host-cet-needs-wp", [](Subject& x) { x.add(host_cr4, bit(23)); },
                     [](Subject& x) { x.remove(host_cr0, bit(16)); }});
    cases.push_back({"host-s-cet", with_cet, [](Subject& x) { x.set(host_s_cet, bit(6)); }});
    cases.push_back({"host-ssp", with_cet, [](Subject& x) { x.set(host_ssp, 2); }});
    cases.push_back({"host-interrupt-ssp-table", with_cet,
                     [](Subject& x) { x.set(host_interrupt_ssp_table, not_canonical); }});
    cases.push_back({"host-pkrs",
                     [](Subject& x) { x.on(ExitControl::load_pkrs).set(host_pkrs, bits(31, 0)); },
                     [](Subject& x) { x.set(host_pkrs, bit(32)); }});
}

void segments(std::vector<Case>& cases) {
    add_selector<host_es_selector>(cases, "es");
    add_selector<host_cs_selector>(cases, "cs");
    add_selector<host_ss_selector>(cases, "ss");
    add_selector<host_ds_selector>(cases, "ds");
    add_selector<host_fs_selector>(cases, "fs");
    add_selector<host_gs_selector>(cases, "gs");
    add_selector<host_tr_selector>(cases, "tr");
    cases.push_back({"host-cs-not-null", nothing, [](Subject& x) { x.set(host_cs_selector, 0); }});
    cases.push_back({"host-tr-not-null", nothing, [](Subject& x) { x.set(host_tr_selector, 0); }});
    cases.push_back(
        {"host-ss-not-null", make_32_bit_host, [](Subject& x) { x.set(host_ss_selector, 0); }});
    add_canonical<host_fs_base>(cases, "host-fs-base");
    add_canonical<host_gs_base>(cases, "host-gs-base");
    add_canonical<host_tr_base>(cases, "host-tr-base");
    add_canonical<host_gdtr_base>(cases, "host-gdtr-base");
    add_canonical<host_idtr_base>(cases, "host-idtr-base");
}

// On a processor without Intel 64, where the rules of 64-bit processors do not apply.
void without_intel_64(Subject& x) {
    make_32_bit_host(x);
    x.set(Fact::has_intel_64, 0);
}

void address_space(std::vector<Case>& cases) {
    // With a 32-bit host, a 64-bit guest breaks two rules that say so.
    cases.push_back(
        {"size-32-bit-guest", make_32_bit_host,
         [](Subject& x) { x.on(EntryControl::ia32e_mode_guest).add(guest_cr4, bit(5)); },
         "size-host-32-guest-64"});
    cases.push_back({"size-32-bit-host", make_32_bit_host,
                     [](Subject& x) { x.on(ExitControl::host_address_space_size); }});
    cases.push_back({"size-64-bit-host",
                     [](Subject& x) {
                         make_32_bit(x);
                         x.set(host_rip, 0x0010'1000);
                     },
                     [](Subject& x) { x.off(ExitControl::host_address_space_size); }});
    cases.push_back(
        {"size-host-32-pcide", make_32_bit_host, [](Subject& x) { x.add(host_cr4, bit(17)); }});
    cases.push_back(
        {"size-host-32-rip", make_32_bit_host, [](Subject& x) { x.set(host_rip, 0x1'0010'1000); }});
    cases.push_back({"size-host-64-pae", nothing, [](Subject& x) { x.remove(host_cr4, bit(5)); }});
    add_canonical<host_rip>(cases, "size-host-64-rip");
    cases.push_back({"size-no-64-bit-guest",
                     [](Subject& x) {
                         without_intel_64(x);
                         x.add(guest_cr4, bit(5));
                         for (const std::uint64_t at : {0U, 8U, 16U, 24U}) {
                             x.set_memory(0x001A'A000 + at, 0);
                         }
                     },
                     [](Subject& x) { x.on(EntryControl::ia32e_mode_guest); }});
    cases.push_back({"size-no-64-bit-host", without_intel_64,
                     [](Subject& x) { x.on(ExitControl::host_address_space_size); }});
}

}  // namespace

std::vector<Case> host_cases() {
    std::vector<Case> cases;
    registers(cases);
    segments(cases);
    // Alone it cannot be broken: what it forbids is forbidden in and outside IA-32e mode, too.
    cases.push_back(
        {"size-host-32-guest-64", nothing,
         [](Subject& x) { x.off(ExitControl::host_address_space_size).set(host_rip, 0x1000); },
         "size-64-bit-host"});
    address_space(cases);
    return cases;
}

}  // namespace hvp::vmx::checks
