// The rules for the guest's segment registers: four fields for each of eight, and all are checked.
// [SDM 3C 26.3.1.2 "Checks on Guest Segment Registers"]
#pragma once

#include <array>
#include <cstddef>

#include "hypervisor/vmcs/entry_checks/entry_rule.hpp"
#include "hypervisor/vmcs/entry_checks/guest_segment_checks.hpp"

namespace hvp::vmx::checks {

inline constexpr Citation section_segments{"3C", "26.3.1.2", "Checks on Guest Segment Registers"};

template <Index s>
[[nodiscard]] constexpr Items rights_field() {
    return fields(of(guest_es_rights, s));
}
template <Index s>
[[nodiscard]] constexpr Items rights_and_limit() {
    return fields(of(guest_es_rights, s), of(guest_es_limit, s));
}

/// The rules that all segment registers have in common.
template <Index s>
[[nodiscard]] constexpr auto common_rules(const char* name) {
    return std::to_array<EntryRule>({
        {"guest-{}-present", &section_segments, rights_set<s, bit(7)>, rights_field<s>(), name},
        {"guest-{}-reserved-11-8", &section_segments, rights_clear<s, bits(11, 8)>,
         rights_field<s>(), name},
        {"guest-{}-g-bytes", &section_segments, bytes_need_g_0<s>, rights_and_limit<s>(), name},
        {"guest-{}-g-pages", &section_segments, pages_need_g_1<s>, rights_and_limit<s>(), name},
        {"guest-{}-reserved-31-17", &section_segments, rights_clear<s, bits(31, 17)>,
         rights_field<s>(), name},
    });
}

/// What CS, SS, DS, ES, FS and GS have in common.
template <Index s>
[[nodiscard]] constexpr auto code_or_data_rules(const char* name) {
    return std::to_array<EntryRule>({
        {"guest-{}-8086-base", &section_segments, base_of_8086<s>,
         fields(of(guest_es_base, s), of(guest_es_selector, s), item(guest_rflags)), name},
        {"guest-{}-8086-limit", &section_segments, limit_of_8086<s>,
         fields(of(guest_es_limit, s), item(guest_rflags)), name},
        {"guest-{}-8086-rights", &section_segments, rights_of_8086<s>,
         fields(of(guest_es_rights, s), item(guest_rflags)), name},
        {"guest-{}-s", &section_segments, rights_set<s, bit(4)>, rights_field<s>(), name},
    });
}

/// What DS, ES, FS and GS have in common.
template <Index s>
[[nodiscard]] constexpr auto data_rules(const char* name) {
    return std::to_array<EntryRule>({
        {"guest-{}-accessed", &section_segments, accessed<s>, rights_field<s>(), name},
        {"guest-{}-readable", &section_segments, readable<s>, rights_field<s>(), name},
        {"guest-{}-dpl", &section_segments, dpl_not_below_rpl<s>,
         fields(of(guest_es_rights, s), of(guest_es_selector, s)), name},
    });
}

inline constexpr auto code_and_stack_rules = std::to_array<EntryRule>({
    {"guest-tr-ti", &section_segments, table_indicator_clear<Index::tr>,
     fields(of(guest_es_selector, Index::tr))},
    {"guest-ldtr-ti", &section_segments, table_indicator_clear<Index::ldtr>,
     fields(of(guest_es_selector, Index::ldtr), of(guest_es_rights, Index::ldtr))},
    {"guest-ss-rpl", &section_segments, ss_rpl,
     fields(of(guest_es_selector, Index::ss), of(guest_es_selector, Index::cs))},
    {"guest-{}-base", &section_segments, base_canonical<Index::tr>,
     fields(of(guest_es_base, Index::tr)), "TR"},
    {"guest-{}-base", &section_segments, base_canonical<Index::fs>,
     fields(of(guest_es_base, Index::fs)), "FS"},
    {"guest-{}-base", &section_segments, base_canonical<Index::gs>,
     fields(of(guest_es_base, Index::gs)), "GS"},
    {"guest-{}-base", &section_segments, base_canonical<Index::ldtr>,
     fields(of(guest_es_base, Index::ldtr), of(guest_es_rights, Index::ldtr)), "LDTR"},
    {"guest-{}-base-high", &section_segments, base_32_bits<Index::cs>,
     fields(of(guest_es_base, Index::cs)), "CS"},
    {"guest-{}-base-high", &section_segments, base_32_bits<Index::ss>,
     fields(of(guest_es_base, Index::ss)), "SS"},
    {"guest-{}-base-high", &section_segments, base_32_bits<Index::ds>,
     fields(of(guest_es_base, Index::ds)), "DS"},
    {"guest-{}-base-high", &section_segments, base_32_bits<Index::es>,
     fields(of(guest_es_base, Index::es)), "ES"},
    {"guest-cs-type", &section_segments, cs_type,
     fields(of(guest_es_rights, Index::cs), item(secondary_processor_based_controls))},
    {"guest-ss-type", &section_segments, ss_type, rights_field<Index::ss>()},
    {"guest-cs-dpl-data", &section_segments, cs_dpl_of_data, rights_field<Index::cs>()},
    {"guest-cs-dpl", &section_segments, cs_dpl_not_conforming,
     fields(of(guest_es_rights, Index::cs), of(guest_es_rights, Index::ss))},
    {"guest-cs-dpl-conforming", &section_segments, cs_dpl_conforming,
     fields(of(guest_es_rights, Index::cs), of(guest_es_rights, Index::ss))},
    {"guest-ss-dpl-rpl", &section_segments, ss_dpl_equals_rpl,
     fields(of(guest_es_rights, Index::ss), of(guest_es_selector, Index::ss))},
    {"guest-ss-dpl-0", &section_segments, ss_dpl_0,
     fields(of(guest_es_rights, Index::ss), item(guest_cr0), of(guest_es_rights, Index::cs))},
    {"guest-cs-db", &section_segments, cs_default_size,
     fields(of(guest_es_rights, Index::cs), item(entry_controls))},
});

inline constexpr auto system_segment_rules = std::to_array<EntryRule>({
    {"guest-tr-type", &section_segments, tr_type,
     fields(of(guest_es_rights, Index::tr), item(entry_controls))},
    {"guest-{}-s", &section_segments, rights_clear<Index::tr, bit(4)>, rights_field<Index::tr>(),
     "TR"},
    {"guest-tr-usable", &section_segments, tr_usable, rights_field<Index::tr>()},
    {"guest-ldtr-type", &section_segments, ldtr_type, rights_field<Index::ldtr>()},
    {"guest-{}-s", &section_segments, rights_clear<Index::ldtr, bit(4)>,
     rights_field<Index::ldtr>(), "LDTR"},
});

inline constexpr auto guest_segment_rules = joined(
    code_and_stack_rules, code_or_data_rules<Index::cs>("CS"), common_rules<Index::cs>("CS"),
    code_or_data_rules<Index::ss>("SS"), common_rules<Index::ss>("SS"),
    code_or_data_rules<Index::ds>("DS"), data_rules<Index::ds>("DS"), common_rules<Index::ds>("DS"),
    code_or_data_rules<Index::es>("ES"), data_rules<Index::es>("ES"), common_rules<Index::es>("ES"),
    code_or_data_rules<Index::fs>("FS"), data_rules<Index::fs>("FS"), common_rules<Index::fs>("FS"),
    code_or_data_rules<Index::gs>("GS"), data_rules<Index::gs>("GS"), common_rules<Index::gs>("GS"),
    system_segment_rules, common_rules<Index::tr>("TR"), common_rules<Index::ldtr>("LDTR"));

}  // namespace hvp::vmx::checks
