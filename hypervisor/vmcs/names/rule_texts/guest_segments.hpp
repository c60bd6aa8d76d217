// The rules on the guest's segment registers, in words.
#pragma once

#include "hypervisor/vmcs/names/rule_texts/rule_text.hpp"

namespace hvp::vmx::checks {

/// The rules that all segment registers have in common.
inline constexpr auto common_texts = std::to_array<RuleText>({
    {"guest-{}-present", "P (bit 7) of the guest {} access rights is 1.",
     "Take the rights from the descriptor, which is present; for a null selector mark the "
     "register unusable: 10000H (not possible for CS and TR)."},
    {"guest-{}-reserved-11-8", "Bits 11:8 of the guest {} access rights are 0.",
     "They are bits 19:16 of the limit in the descriptor: mask with F0FFH after taking bits "
     "55:40. LAR's result has to be shifted right by 8 first, and masked, too."},
    {"guest-{}-g-bytes",
     "G (bit 15) of the guest {} access rights is 0 if any of bits 11:0 of the limit is 0.",
     "The limit counts bytes here: LSL's result, or the descriptor's limit shifted left by 12 "
     "with FFFH below it where G is 1."},
    {"guest-{}-g-pages",
     "G (bit 15) of the guest {} access rights is 1 if any of bits 31:20 of the limit is 1.",
     "A limit of more than 1 MByte can only be counted in pages: set G."},
    {"guest-{}-reserved-31-17", "Bits 31:17 of the guest {} access rights are 0.",
     "Only bits 16:0 have a meaning; after LAR or a shift of the descriptor, mask the rest."},
});

/// What CS, SS, DS, ES, FS and GS have in common.
inline constexpr auto code_or_data_texts = std::to_array<RuleText>({
    {"guest-{}-8086-base", "In virtual-8086 mode, the guest {} base is the selector * 16.",
     "Write selector << 4; or clear RFLAGS.VM, if virtual-8086 mode is not meant."},
    {"guest-{}-8086-limit", "In virtual-8086 mode, the guest {} limit is FFFFH.",
     "Write FFFFH; or clear RFLAGS.VM, if virtual-8086 mode is not meant."},
    {"guest-{}-8086-rights", "In virtual-8086 mode, the guest {} access rights are F3H.",
     "Write F3H; or clear RFLAGS.VM, if virtual-8086 mode is not meant."},
    {"guest-{}-s", "S (bit 4) of the guest {} access rights is 1: a code or data segment.",
     "A system descriptor (TSS, LDT) cannot be in {}; for a null selector write 10000H, "
     "unusable (not possible for CS)."},
});

/// What DS, ES, FS and GS have in common.
inline constexpr auto data_texts = std::to_array<RuleText>({
    {"guest-{}-accessed", "Bit 0 of the guest {} type is 1 (accessed), if {} is usable.",
     "The processor sets it in the descriptor when it loads the register: set it, too."},
    {"guest-{}-readable",
     "A code segment in the guest {} is readable (type bit 1), if {} is usable.",
     "Execute-only code cannot be in a data-segment register: use a data segment."},
    {"guest-{}-dpl",
     "DPL of the guest {} is not below the RPL of its selector, if {} is usable, holds data or "
     "non-conforming code, and the guest is not unrestricted.",
     "Take the rights of the segment that the selector names (Windows: 2BH and 53H have DPL "
     "3)."},
});

inline constexpr auto code_and_stack_texts = std::to_array<RuleText>({
    {"guest-tr-ti", "TI (bit 2) of the guest TR selector is 0.", "A TSS is in the GDT."},
    {"guest-ldtr-ti", "TI (bit 2) of the guest LDTR selector is 0, if LDTR is usable.",
     "An LDT is in the GDT; without one write selector 0 and access rights 10000H."},
    {"guest-ss-rpl",
     "RPL of the guest SS selector equals that of CS, unless the guest is unrestricted.",
     "Both are the guest's CPL: take CS and SS from the same moment."},
    {"guest-{}-base", "The guest {} base is a canonical address.",
     "In 64-bit mode the TSS descriptor has 16 bytes, and bits 63:32 of the base are in its third "
     "doubleword."},
    {"guest-{}-base", "The guest {} base is a canonical address.",
     "Write what RDMSR C0000100H says."},
    {"guest-{}-base", "The guest {} base is a canonical address.",
     "Write what RDMSR C0000101H says."},
    {"guest-{}-base", "The guest {} base is a canonical address, if LDTR is usable.",
     "Without an LDT write access rights 10000H, unusable."},
    {"guest-{}-base-high", "Bits 63:32 of the guest {} base are 0.",
     "In 64-bit mode the base of CS is not used: write 0."},
    {"guest-{}-base-high", "Bits 63:32 of the guest {} base are 0, if {} is usable.",
     "In 64-bit mode the base of {} is not used: write 0."},
    {"guest-{}-base-high", "Bits 63:32 of the guest {} base are 0, if {} is usable.",
     "In 64-bit mode the base of {} is not used: write 0."},
    {"guest-{}-base-high", "Bits 63:32 of the guest {} base are 0, if {} is usable.",
     "In 64-bit mode the base of {} is not used: write 0."},
    {"guest-cs-type",
     "The guest CS type is 9, 11, 13 or 15 (accessed code); for an unrestricted guest also 3.",
     "Set the accessed bit, and take CS' rights from a code segment: A09BH or 209BH for 64-bit "
     "code at CPL 0."},
    {"guest-ss-type", "The guest SS type is 3 or 7 (read/write, accessed data), if SS is usable.",
     "C093H or 4093H at CPL 0; for the null SS of 64-bit code 10000H, unusable."},
    {"guest-cs-dpl-data", "With type 3, the guest CS has DPL 0.",
     "A data segment in CS is for real mode: 93H."},
    {"guest-cs-dpl", "With type 9 or 11 (non-conforming), DPL of the guest CS equals DPL of SS.",
     "Both are the guest's CPL. An unusable SS keeps its DPL: 10000H for CPL 0, 10060H for CPL 3."},
    {"guest-cs-dpl-conforming",
     "With type 13 or 15 (conforming), DPL of the guest CS is not above DPL of SS.",
     "Conforming code runs at the CPL of its caller, which is SS' DPL, and is never less "
     "privileged."},
    {"guest-ss-dpl-rpl",
     "DPL of the guest SS equals the RPL of its selector, unless the guest is unrestricted; also "
     "if SS is unusable.",
     "Both are the guest's CPL: selector 0 goes with 10000H."},
    {"guest-ss-dpl-0",
     "DPL of the guest SS is 0 in real mode (CR0.PE = 0), and if the CS type is 3.",
     "Real mode runs at CPL 0: 93H."},
    {"guest-cs-db",
     "D/B (bit 14) of the guest CS access rights is 0 for 64-bit code (L, bit 13, is 1).",
     "64-bit code is A09BH or 209BH; C09BH is 32-bit code. L and D/B together are reserved."},
});

inline constexpr auto system_segment_texts = std::to_array<RuleText>({
    {"guest-tr-type", "The guest TR type is 11 (busy TSS); for a guest outside IA-32e mode also 3.",
     "LTR marks the descriptor busy (type 9 becomes 11, rights 89H become 8BH). A descriptor that "
     "was read before, or made by hand, says 9: set bit 1."},
    {"guest-{}-s", "S (bit 4) of the guest {} access rights is 0.",
     "TR holds a system segment: 8BH."},
    {"guest-tr-usable", "The unusable bit (16) of the guest TR access rights is 0.",
     "A guest must have a TSS, even where TR was never loaded (UEFI, real mode): write 8BH with "
     "any base and limit 67H or more; that reads as a busy TSS."},
    {"guest-ldtr-type", "The guest LDTR type is 2 (LDT), if LDTR is usable.",
     "82H for an LDT; 10000H, unusable, without one."},
    {"guest-{}-s", "S (bit 4) of the guest {} access rights is 0, if {} is usable.",
     "LDTR holds a system segment: 82H; or 10000H, unusable."},
});

inline constexpr auto guest_segment_texts =
    joined(code_and_stack_texts, code_or_data_texts, common_texts, code_or_data_texts, common_texts,
           code_or_data_texts, data_texts, common_texts, code_or_data_texts, data_texts,
           common_texts, code_or_data_texts, data_texts, common_texts, code_or_data_texts,
           data_texts, common_texts, system_segment_texts, common_texts, common_texts);

}  // namespace hvp::vmx::checks
