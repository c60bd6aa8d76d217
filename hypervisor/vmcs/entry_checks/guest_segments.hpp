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
[[nodiscard]] constexpr Items about_rights() {
    return about(of(guest_es_rights, s));
}
template <Index s>
[[nodiscard]] constexpr Items about_granularity() {
    return about(of(guest_es_rights, s), of(guest_es_limit, s));
}

/// The rules that all segment registers have in common.
template <Index s>
[[nodiscard]] constexpr auto common_rules(const char* name) {
    return std::to_array<EntryRule>({
        {"guest-{}-present", &section_segments, "P (bit 7) of the guest {} access rights is 1.",
         "Take the rights from the descriptor, which is present; for a null selector mark the "
         "register unusable: 10000H (not possible for CS and TR).",
         rights_set<s, bit(7)>, about_rights<s>(), name},
        {"guest-{}-reserved-11-8", &section_segments,
         "Bits 11:8 of the guest {} access rights are 0.",
         "They are bits 19:16 of the limit in the descriptor: mask with F0FFH after taking bits "
         "55:40. LAR's result has to be shifted right by 8 first, and masked, too.",
         rights_clear<s, bits(11, 8)>, about_rights<s>(), name},
        {"guest-{}-g-bytes", &section_segments,
         "G (bit 15) of the guest {} access rights is 0 if any of bits 11:0 of the limit is 0.",
         "The limit counts bytes here: LSL's result, or the descriptor's limit shifted left by 12 "
         "with FFFH below it where G is 1.",
         bytes_need_g_0<s>, about_granularity<s>(), name},
        {"guest-{}-g-pages", &section_segments,
         "G (bit 15) of the guest {} access rights is 1 if any of bits 31:20 of the limit is 1.",
         "A limit of more than 1 MByte can only be counted in pages: set G.", pages_need_g_1<s>,
         about_granularity<s>(), name},
        {"guest-{}-reserved-31-17", &section_segments,
         "Bits 31:17 of the guest {} access rights are 0.",
         "Only bits 16:0 have a meaning; after LAR or a shift of the descriptor, mask the rest.",
         rights_clear<s, bits(31, 17)>, about_rights<s>(), name},
    });
}

/// What CS, SS, DS, ES, FS and GS have in common.
template <Index s>
[[nodiscard]] constexpr auto code_or_data_rules(const char* name) {
    return std::to_array<EntryRule>({
        {"guest-{}-8086-base", &section_segments,
         "In virtual-8086 mode, the guest {} base is the selector * 16.",
         "Write selector << 4; or clear RFLAGS.VM, if virtual-8086 mode is not meant.",
         base_of_8086<s>, about(of(guest_es_base, s), of(guest_es_selector, s), item(guest_rflags)),
         name},
        {"guest-{}-8086-limit", &section_segments,
         "In virtual-8086 mode, the guest {} limit is FFFFH.",
         "Write FFFFH; or clear RFLAGS.VM, if virtual-8086 mode is not meant.", limit_of_8086<s>,
         about(of(guest_es_limit, s), item(guest_rflags)), name},
        {"guest-{}-8086-rights", &section_segments,
         "In virtual-8086 mode, the guest {} access rights are F3H.",
         "Write F3H; or clear RFLAGS.VM, if virtual-8086 mode is not meant.", rights_of_8086<s>,
         about(of(guest_es_rights, s), item(guest_rflags)), name},
        {"guest-{}-s", &section_segments,
         "S (bit 4) of the guest {} access rights is 1: a code or data segment.",
         "A system descriptor (TSS, LDT) cannot be in {}; for a null selector write 10000H, "
         "unusable (not possible for CS).",
         rights_set<s, bit(4)>, about_rights<s>(), name},
    });
}

/// What DS, ES, FS and GS have in common.
template <Index s>
[[nodiscard]] constexpr auto data_rules(const char* name) {
    return std::to_array<EntryRule>({
        {"guest-{}-accessed", &section_segments,
         "Bit 0 of the guest {} type is 1 (accessed), if {} is usable.",
         "The processor sets it in the descriptor when it loads the register: set it, too.",
         accessed<s>, about_rights<s>(), name},
        {"guest-{}-readable", &section_segments,
         "A code segment in the guest {} is readable (type bit 1), if {} is usable.",
         "Execute-only code cannot be in a data-segment register: use a data segment.", readable<s>,
         about_rights<s>(), name},
        {"guest-{}-dpl", &section_segments,
         "DPL of the guest {} is not below the RPL of its selector, if {} is usable, holds data or "
         "non-conforming code, and the guest is not unrestricted.",
         "Take the rights of the segment that the selector names (Windows: 2BH and 53H have DPL "
         "3).",
         dpl_not_below_rpl<s>, about(of(guest_es_rights, s), of(guest_es_selector, s)), name},
    });
}

inline constexpr auto code_and_stack_rules = std::to_array<EntryRule>({
    {"guest-tr-ti", &section_segments, "TI (bit 2) of the guest TR selector is 0.",
     "A TSS is in the GDT.", table_indicator_clear<Index::tr>,
     about(of(guest_es_selector, Index::tr))},
    {"guest-ldtr-ti", &section_segments,
     "TI (bit 2) of the guest LDTR selector is 0, if LDTR is usable.",
     "An LDT is in the GDT; without one write selector 0 and access rights 10000H.",
     table_indicator_clear<Index::ldtr>,
     about(of(guest_es_selector, Index::ldtr), of(guest_es_rights, Index::ldtr))},
    {"guest-ss-rpl", &section_segments,
     "RPL of the guest SS selector equals that of CS, unless the guest is unrestricted.",
     "Both are the guest's CPL: take CS and SS from the same moment.", ss_rpl,
     about(of(guest_es_selector, Index::ss), of(guest_es_selector, Index::cs))},
    {"guest-{}-base", &section_segments, "The guest {} base is a canonical address.",
     "In 64-bit mode the TSS descriptor has 16 bytes, and bits 63:32 of the base are in its third "
     "doubleword.",
     base_canonical<Index::tr>, about(of(guest_es_base, Index::tr)), "TR"},
    {"guest-{}-base", &section_segments, "The guest {} base is a canonical address.",
     "Write what RDMSR C0000100H says.", base_canonical<Index::fs>,
     about(of(guest_es_base, Index::fs)), "FS"},
    {"guest-{}-base", &section_segments, "The guest {} base is a canonical address.",
     "Write what RDMSR C0000101H says.", base_canonical<Index::gs>,
     about(of(guest_es_base, Index::gs)), "GS"},
    {"guest-{}-base", &section_segments,
     "The guest {} base is a canonical address, if LDTR is usable.",
     "Without an LDT write access rights 10000H, unusable.", base_canonical<Index::ldtr>,
     about(of(guest_es_base, Index::ldtr), of(guest_es_rights, Index::ldtr)), "LDTR"},
    {"guest-{}-base-high", &section_segments, "Bits 63:32 of the guest {} base are 0.",
     "In 64-bit mode the base of CS is not used: write 0.", base_32_bits<Index::cs>,
     about(of(guest_es_base, Index::cs)), "CS"},
    {"guest-{}-base-high", &section_segments,
     "Bits 63:32 of the guest {} base are 0, if {} is usable.",
     "In 64-bit mode the base of {} is not used: write 0.", base_32_bits<Index::ss>,
     about(of(guest_es_base, Index::ss)), "SS"},
    {"guest-{}-base-high", &section_segments,
     "Bits 63:32 of the guest {} base are 0, if {} is usable.",
     "In 64-bit mode the base of {} is not used: write 0.", base_32_bits<Index::ds>,
     about(of(guest_es_base, Index::ds)), "DS"},
    {"guest-{}-base-high", &section_segments,
     "Bits 63:32 of the guest {} base are 0, if {} is usable.",
     "In 64-bit mode the base of {} is not used: write 0.", base_32_bits<Index::es>,
     about(of(guest_es_base, Index::es)), "ES"},
    {"guest-cs-type", &section_segments,
     "The guest CS type is 9, 11, 13 or 15 (accessed code); for an unrestricted guest also 3.",
     "Set the accessed bit, and take CS' rights from a code segment: A09BH or 209BH for 64-bit "
     "code at CPL 0.",
     cs_type, about(of(guest_es_rights, Index::cs), item(secondary_processor_based_controls))},
    {"guest-ss-type", &section_segments,
     "The guest SS type is 3 or 7 (read/write, accessed data), if SS is usable.",
     "C093H or 4093H at CPL 0; for the null SS of 64-bit code 10000H, unusable.", ss_type,
     about_rights<Index::ss>()},
    {"guest-cs-dpl-data", &section_segments, "With type 3, the guest CS has DPL 0.",
     "A data segment in CS is for real mode: 93H.", cs_dpl_of_data, about_rights<Index::cs>()},
    {"guest-cs-dpl", &section_segments,
     "With type 9 or 11 (non-conforming), DPL of the guest CS equals DPL of SS.",
     "Both are the guest's CPL. An unusable SS keeps its DPL: 10000H for CPL 0, 10060H for CPL 3.",
     cs_dpl_not_conforming, about(of(guest_es_rights, Index::cs), of(guest_es_rights, Index::ss))},
    {"guest-cs-dpl-conforming", &section_segments,
     "With type 13 or 15 (conforming), DPL of the guest CS is not above DPL of SS.",
     "Conforming code runs at the CPL of its caller, which is SS' DPL, and is never less "
     "privileged.",
     cs_dpl_conforming, about(of(guest_es_rights, Index::cs), of(guest_es_rights, Index::ss))},
    {"guest-ss-dpl-rpl", &section_segments,
     "DPL of the guest SS equals the RPL of its selector, unless the guest is unrestricted; also "
     "if SS is unusable.",
     "Both are the guest's CPL: selector 0 goes with 10000H.", ss_dpl_equals_rpl,
     about(of(guest_es_rights, Index::ss), of(guest_es_selector, Index::ss))},
    {"guest-ss-dpl-0", &section_segments,
     "DPL of the guest SS is 0 in real mode (CR0.PE = 0), and if the CS type is 3.",
     "Real mode runs at CPL 0: 93H.", ss_dpl_0,
     about(of(guest_es_rights, Index::ss), item(guest_cr0), of(guest_es_rights, Index::cs))},
    {"guest-cs-db", &section_segments,
     "D/B (bit 14) of the guest CS access rights is 0 for 64-bit code (L, bit 13, is 1).",
     "64-bit code is A09BH or 209BH; C09BH is 32-bit code. L and D/B together are reserved.",
     cs_default_size, about(of(guest_es_rights, Index::cs), item(entry_controls))},
});

inline constexpr auto system_segment_rules = std::to_array<EntryRule>({
    {"guest-tr-type", &section_segments,
     "The guest TR type is 11 (busy TSS); for a guest outside IA-32e mode also 3.",
     "LTR marks the descriptor busy (type 9 becomes 11, rights 89H become 8BH). A descriptor that "
     "was read before, or made by hand, says 9: set bit 1.",
     tr_type, about(of(guest_es_rights, Index::tr), item(entry_controls))},
    {"guest-{}-s", &section_segments, "S (bit 4) of the guest {} access rights is 0.",
     "TR holds a system segment: 8BH.", rights_clear<Index::tr, bit(4)>, about_rights<Index::tr>(),
     "TR"},
    {"guest-tr-usable", &section_segments,
     "The unusable bit (16) of the guest TR access rights is 0.",
     "A guest must have a TSS, even where TR was never loaded (UEFI, real mode): write 8BH with "
     "any base and limit 67H or more; that reads as a busy TSS.",
     tr_usable, about_rights<Index::tr>()},
    {"guest-ldtr-type", &section_segments, "The guest LDTR type is 2 (LDT), if LDTR is usable.",
     "82H for an LDT; 10000H, unusable, without one.", ldtr_type, about_rights<Index::ldtr>()},
    {"guest-{}-s", &section_segments,
     "S (bit 4) of the guest {} access rights is 0, if {} is usable.",
     "LDTR holds a system segment: 82H; or 10000H, unusable.", rights_clear<Index::ldtr, bit(4)>,
     about_rights<Index::ldtr>(), "LDTR"},
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
