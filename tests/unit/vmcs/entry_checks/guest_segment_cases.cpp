// Cases for the guest's segment registers.
#include "tests/unit/vmcs/entry_checks/subject.hpp"

namespace hvp::vmx::checks {
namespace {

constexpr std::uint64_t not_canonical = 0x0000'8000'0000'0000;
constexpr std::uint64_t highest_canonical = 0x0000'7FFF'FFFF'FFFF;

void nothing(Subject&) {}

template <Index s>
constexpr Item selector = of(guest_es_selector, s);
template <Index s>
constexpr Item base = of(guest_es_base, s);
template <Index s>
constexpr Item limit = of(guest_es_limit, s);
template <Index s>
constexpr Item access = of(guest_es_rights, s);

void with_ldt(Subject& x) {
    x.set(selector<Index::ldtr>, 0x48).set(base<Index::ldtr>, 0).set(limit<Index::ldtr>, 0xFFF);
    x.set(access<Index::ldtr>, 0x82);
}

/// A register of each kind that counts: only LDTR is unusable to begin with.
template <Index s>
void in_use(Subject& x) {
    if (s == Index::ldtr) {
        with_ldt(x);
    }
}

template <Index s>
void add_common(std::vector<Case>& cases, const std::string& name) {
    cases.push_back(
        {"guest-" + name + "-present", in_use<s>, [](Subject& x) { x.remove(access<s>, bit(7)); }});
    cases.push_back({"guest-" + name + "-reserved-11-8", in_use<s>,
                     [](Subject& x) { x.add(access<s>, bit(8)); }});
    cases.push_back({"guest-" + name + "-reserved-31-17", in_use<s>,
                     [](Subject& x) { x.add(access<s>, bit(17)); }});
    cases.push_back({"guest-" + name + "-g-bytes",
                     [](Subject& x) {
                         in_use<s>(x);
                         x.set(limit<s>, 0xFFFFF).add(access<s>, bit(15));
                     },
                     [](Subject& x) { x.set(limit<s>, 0xFFFFE); }});
    cases.push_back({"guest-" + name + "-g-pages",
                     [](Subject& x) {
                         in_use<s>(x);
                         x.set(limit<s>, 0xFFFFF).remove(access<s>, bit(15));
                     },
                     [](Subject& x) { x.set(limit<s>, 0x1F'FFFF); }});
}

template <Index s>
void add_code_or_data(std::vector<Case>& cases, const std::string& name) {
    cases.push_back(
        {"guest-" + name + "-8086-base", make_8086, [](Subject& x) { x.set(base<s>, 0x1'0001); }});
    cases.push_back(
        {"guest-" + name + "-8086-limit", make_8086, [](Subject& x) { x.set(limit<s>, 0xFFFE); }});
    cases.push_back(
        {"guest-" + name + "-8086-rights", make_8086, [](Subject& x) { x.set(access<s>, 0x93); }});
    cases.push_back(
        {"guest-" + name + "-s", nothing, [](Subject& x) { x.remove(access<s>, bit(4)); }});
    add_common<s>(cases, name);
}

template <Index s>
void add_data(std::vector<Case>& cases, const std::string& name) {
    cases.push_back(
        {"guest-" + name + "-accessed", nothing, [](Subject& x) { x.remove(access<s>, bit(0)); }});
    cases.push_back({"guest-" + name + "-readable",
                     [](Subject& x) { x.set(limit<s>, 0xFFFFF).set(access<s>, 0x40FB); },
                     [](Subject& x) { x.remove(access<s>, bit(1)); }});
    cases.push_back(
        {"guest-" + name + "-dpl", nothing, [](Subject& x) { x.remove(access<s>, bits(6, 5)); }});
    add_code_or_data<s>(cases, name);
}

template <Index s>
void add_canonical(std::vector<Case>& cases, const std::string& name) {
    cases.push_back({"guest-" + name + "-base",
                     [](Subject& x) {
                         in_use<s>(x);
                         x.set(base<s>, highest_canonical);
                     },
                     [](Subject& x) { x.set(base<s>, not_canonical); }});
}
template <Index s>
void add_narrow(std::vector<Case>& cases, const std::string& name) {
    cases.push_back({"guest-" + name + "-base-high",
                     [](Subject& x) { x.set(base<s>, 0xFFFF'FFFF); },
                     [](Subject& x) { x.set(base<s>, 0x1'0000'0000); }});
}

void code_and_stack(std::vector<Case>& cases) {
    cases.push_back(
        {"guest-cs-type", nothing, [](Subject& x) { x.set(access<Index::cs>, 0x209A); }});
    cases.push_back({"guest-ss-type", [](Subject& x) { x.set(access<Index::ss>, 0x4097); },
                     [](Subject& x) { x.set(access<Index::ss>, 0x4091); }});
    cases.push_back({"guest-cs-dpl-data",
                     [](Subject& x) {
                         make_real_mode(x);
                         x.set(access<Index::cs>, 0x93);
                     },
                     [](Subject& x) { x.set(access<Index::cs>, 0xF3); }});
    cases.push_back(
        {"guest-cs-dpl", nothing, [](Subject& x) { x.add(access<Index::cs>, bits(6, 5)); }});
    cases.push_back({"guest-cs-dpl-conforming",
                     [](Subject& x) { x.set(access<Index::cs>, 0x209F); },
                     [](Subject& x) { x.add(access<Index::cs>, bits(6, 5)); }});
    cases.push_back(
        {"guest-ss-rpl", nothing, [](Subject& x) { x.set(selector<Index::cs>, 0x13); }});
    // A conforming CS, as DPL of a non-conforming one would have to follow.
    cases.push_back({"guest-ss-dpl-rpl", [](Subject& x) { x.set(access<Index::cs>, 0x209F); },
                     [](Subject& x) { x.add(access<Index::ss>, bits(6, 5)); }});
    cases.push_back({"guest-ss-dpl-0",
                     [](Subject& x) {
                         make_real_mode(x);
                         x.set(access<Index::cs>, 0x9F);
                     },
                     [](Subject& x) { x.set(access<Index::ss>, 0xF3); }});
    cases.push_back({"guest-cs-db", nothing, [](Subject& x) { x.set(access<Index::cs>, 0x609B); }});
}

}  // namespace

std::vector<Case> guest_segment_cases() {
    std::vector<Case> cases;
    code_and_stack(cases);
    add_code_or_data<Index::cs>(cases, "cs");
    add_code_or_data<Index::ss>(cases, "ss");
    add_data<Index::ds>(cases, "ds");
    add_data<Index::es>(cases, "es");
    add_data<Index::fs>(cases, "fs");
    add_data<Index::gs>(cases, "gs");
    add_common<Index::tr>(cases, "tr");
    add_common<Index::ldtr>(cases, "ldtr");
    add_canonical<Index::tr>(cases, "tr");
    add_canonical<Index::fs>(cases, "fs");
    add_canonical<Index::gs>(cases, "gs");
    add_canonical<Index::ldtr>(cases, "ldtr");
    add_narrow<Index::cs>(cases, "cs");
    add_narrow<Index::ss>(cases, "ss");
    add_narrow<Index::ds>(cases, "ds");
    add_narrow<Index::es>(cases, "es");
    cases.push_back({"guest-tr-ti", nothing, [](Subject& x) { x.set(selector<Index::tr>, 0x44); }});
    cases.push_back(
        {"guest-ldtr-ti", with_ldt, [](Subject& x) { x.set(selector<Index::ldtr>, 0x4C); }});
    cases.push_back({"guest-tr-type", nothing, [](Subject& x) { x.set(access<Index::tr>, 0x89); }});
    cases.push_back({"guest-tr-s", nothing, [](Subject& x) { x.set(access<Index::tr>, 0x9B); }});
    cases.push_back(
        {"guest-tr-usable", nothing, [](Subject& x) { x.add(access<Index::tr>, bit(16)); }});
    cases.push_back(
        {"guest-ldtr-type", with_ldt, [](Subject& x) { x.set(access<Index::ldtr>, 0x8B); }});
    cases.push_back(
        {"guest-ldtr-s", with_ldt, [](Subject& x) { x.set(access<Index::ldtr>, 0x92); }});
    return cases;
}

}  // namespace hvp::vmx::checks
