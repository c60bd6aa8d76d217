// Cases for the guest's non-register state, PDPTEs, and the MSRs that VM entry loads.
#include "tests/unit/vmcs/entry_checks/subject.hpp"

namespace hvp::vmx::checks {
namespace {

void nothing(Subject&) {}

constexpr std::uint64_t valid = bit(31);
constexpr std::uint64_t nmi = valid | 2 << 8 | 2;
constexpr std::uint64_t interrupt = valid | 0xD1;
constexpr std::uint64_t invalid_opcode = valid | 3 << 8 | 6;
constexpr std::uint64_t machine_check = valid | 3 << 8 | 18;

template <std::uint64_t event>
void inject(Subject& x) {
    x.set(entry_interruption_information, event);
}
template <std::uint64_t state>
void activity_is(Subject& x) {
    x.set(guest_activity_state, state);
}
template <std::uint64_t blocking>
void blocked(Subject& x) {
    x.set(guest_interruptibility_state, blocking);
}
void in_smm(Subject& x) {
    x.set(Fact::in_smm, 1).on(EntryControl::entry_to_smm);
    blocked<bit(2)>(x);
}

void activity_cases(std::vector<Case>& cases) {
    cases.push_back({"guest-activity-range", activity_is<3>, activity_is<4>});
    cases.push_back({"guest-activity-supported", activity_is<1>,
                     [](Subject& x) { x.remove(Msr::vmx_misc, bit(6)); }});
    // A conforming CS and an SS of a user program, so that DPL alone decides.
    cases.push_back({"guest-hlt-cpl",
                     [](Subject& x) {
                         x.set(of(guest_es_rights, Index::cs), 0x20FB);
                         x.set(of(guest_es_selector, Index::cs), 0x33);
                         x.set(of(guest_es_rights, Index::ss), 0x40F3);
                         x.set(of(guest_es_selector, Index::ss), 0x2B);
                     },
                     activity_is<1>});
    cases.push_back({"guest-active-if-blocked", activity_is<1>, blocked<bit(0)>});
    cases.push_back({"guest-hlt-event",
                     [](Subject& x) {
                         activity_is<1>(x);
                         inject<machine_check>(x);
                     },
                     inject<invalid_opcode>});
    cases.push_back({"guest-shutdown-event",
                     [](Subject& x) {
                         activity_is<2>(x);
                         inject<nmi>(x);
                     },
                     inject<interrupt>});
    cases.push_back({"guest-wait-for-sipi-event", activity_is<3>, inject<nmi>});
    cases.push_back({"guest-wait-for-sipi-smm", in_smm, activity_is<3>});
}

void interruptibility_cases(std::vector<Case>& cases) {
    cases.push_back({"guest-interruptibility-reserved", blocked<bit(4)>, blocked<bit(5)>});
    cases.push_back({"guest-sti-and-mov-ss", blocked<bit(0)>, blocked<bits(1, 0)>});
    cases.push_back({"guest-sti-needs-if", blocked<bit(0)>,
                     [](Subject& x) { x.remove(guest_rflags, bit(9)); }});
    cases.push_back({"guest-blocked-interrupt", inject<interrupt>, blocked<bit(0)>});
    cases.push_back({"guest-blocked-nmi-mov-ss", inject<nmi>, blocked<bit(1)>});
    cases.push_back({"guest-smi-blocking-outside-smm", nothing, blocked<bit(2)>});
    cases.push_back({"guest-smi-blocking-in-smm", in_smm, blocked<0>});
    cases.push_back({"guest-blocked-nmi-sti",
                     [](Subject& x) {
                         inject<nmi>(x);
                         blocked<bit(0)>(x);
                         x.set(Fact::nmi_under_sti_refused, 0);
                     },
                     [](Subject& x) { x.set(Fact::nmi_under_sti_refused, 1); }});
    cases.push_back({"guest-blocked-virtual-nmi",
                     [](Subject& x) {
                         inject<nmi>(x);
                         x.on(Pin::virtual_nmis, Pin::nmi_exiting);
                     },
                     blocked<bit(3)>});
    cases.push_back({"guest-enclave-mov-ss", blocked<bit(4)>, blocked < bit(4) | bit(1) > });
    cases.push_back(
        {"guest-enclave-needs-sgx", blocked<bit(4)>, [](Subject& x) { x.set(Fact::has_sgx, 0); }});
}

template <std::uint64_t exceptions>
void pending(Subject& x) {
    x.set(guest_pending_debug_exceptions, exceptions);
}

void debug_cases(std::vector<Case>& cases) {
    cases.push_back({"guest-pending-debug-reserved", pending<0x500F>, pending<bit(4)>});
    cases.push_back({"guest-pending-step",
                     [](Subject& x) {
                         x.add(guest_rflags, bit(8));
                         blocked<bit(1)>(x);
                         pending<bit(14)>(x);
                     },
                     pending<0>});
    cases.push_back({"guest-no-pending-step", blocked<bit(1)>, pending<bit(14)>});
    cases.push_back({"guest-pending-rtm-bits", pending < bit(16) | bit(12) >, pending<bit(16)>});
    cases.push_back({"guest-pending-rtm-needs-rtm", pending < bit(16) | bit(12) >,
                     [](Subject& x) { x.set(Fact::has_rtm, 0); }});
    cases.push_back({"guest-pending-rtm-mov-ss", pending < bit(16) | bit(12) >, blocked<bit(1)>});
}

constexpr std::uint64_t shadow = 0x8000;
void with_link(Subject& x) {
    x.on(Secondary::vmcs_shadowing);
    x.set(vmread_bitmap_address, 0x5000).set(vmwrite_bitmap_address, 0x6000);
    x.set(guest_vmcs_link_pointer, shadow).set(executive_vmcs_pointer, 0x7000);
    x.set_memory(shadow, bit(31) | 0x2B).set_memory(1ULL << 40, bit(31) | 0x2B);
    x.set_memory(0x7000, bit(31) | 0x2B);
}

void link_cases(std::vector<Case>& cases) {
    cases.push_back({"guest-link-aligned", with_link,
                     [](Subject& x) { x.set(guest_vmcs_link_pointer, shadow + 8); }});
    cases.push_back({"guest-link-width", with_link,
                     [](Subject& x) { x.set(guest_vmcs_link_pointer, 1ULL << 40); }});
    cases.push_back(
        {"guest-link-revision", with_link, [](Subject& x) { x.set_memory(shadow, bit(31) | 4); }});
    cases.push_back(
        {"guest-link-shadow", with_link, [](Subject& x) { x.set_memory(shadow, 0x2B); }});
    cases.push_back({"guest-link-not-current", with_link,
                     [](Subject& x) { x.set(guest_vmcs_link_pointer, 0x7000); }});
    cases.push_back({"guest-link-not-executive",
                     [](Subject& x) {
                         with_link(x);
                         x.set(Fact::in_smm, 1);
                     },
                     [](Subject& x) { x.set(guest_vmcs_link_pointer, 0x7000); }});
}

void with_pae(Subject& x) {
    make_32_bit(x);
    x.add(guest_cr4, bit(5));
    for (const std::uint64_t at : {0U, 8U, 16U, 24U}) {
        x.set_memory(0x001A'A000 + at, 0x0010'0001);
    }
}
void with_pae_and_ept(Subject& x) {
    with_pae(x);
    x.on(Secondary::enable_ept).set(ept_pointer, 0x501E);
    x.set(guest_pdpte0, 0x0010'0001).set(guest_pdpte1, 0x0010'0001);
    x.set(guest_pdpte2, 0x0010'0001).set(guest_pdpte3, 0xFFE);  // not present: ignored
}
template <auto field>
void add_pdpte(std::vector<Case>& cases, const std::string& name) {
    cases.push_back({"guest-pdpte" + name + "-field", with_pae_and_ept,
                     [](Subject& x) { x.set(field, 0x0010'0003); }});
}
template <std::uint64_t number>
void add_pdpte_in_memory(std::vector<Case>& cases, const std::string& name) {
    cases.push_back({"guest-pdpte" + name + "-memory", with_pae,
                     [](Subject& x) { x.set_memory(0x001A'A000 + 8 * number, bit(40) | 1); }});
}

/// One good entry (IA32_PAT), and one that `index` and `data` make.
template <std::uint64_t index, std::uint64_t data>
void load_msr(Subject& x) {
    x.set(entry_msr_load_address, 0x5000).set(entry_msr_load_count, 2);
    x.set_memory(0x5000, 0x277).set_memory(0x5008, 0x0007'0406'0007'0406);
    x.set_memory(0x5010, index).set_memory(0x5018, data);
}

void msr_cases(std::vector<Case>& cases) {
    constexpr auto good = load_msr<0xC000'0102, 0xFFFF'F800'0000'0000>;
    cases.push_back({"msr-load-base", good, load_msr<0xC000'0101, 0>});
    cases.push_back({"msr-load-x2apic", good, load_msr<0x80B, 0>});
    cases.push_back({"msr-load-smm", good, load_msr<0x9B, 0>});
    cases.push_back({"msr-load-model-specific", good, load_msr<0x79, 0>});
    cases.push_back({"msr-load-reserved", good, load_msr<0x1'C000'0102, 0>});
    cases.push_back({"msr-load-value", good, load_msr<0xC000'0102, 0x8000'0000'0000>});
}

}  // namespace

std::vector<Case> guest_state_cases() {
    std::vector<Case> cases;
    activity_cases(cases);
    interruptibility_cases(cases);
    debug_cases(cases);
    link_cases(cases);
    add_pdpte<guest_pdpte0>(cases, "0");
    add_pdpte<guest_pdpte1>(cases, "1");
    add_pdpte<guest_pdpte2>(cases, "2");
    add_pdpte<guest_pdpte3>(cases, "3");
    add_pdpte_in_memory<0>(cases, "0");
    add_pdpte_in_memory<1>(cases, "1");
    add_pdpte_in_memory<2>(cases, "2");
    add_pdpte_in_memory<3>(cases, "3");
    msr_cases(cases);
    return cases;
}

}  // namespace hvp::vmx::checks
