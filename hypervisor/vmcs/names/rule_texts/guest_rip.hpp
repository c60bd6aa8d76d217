// The rules on the guest's descriptor tables, RIP and RFLAGS, in words.
#pragma once

#include "hypervisor/vmcs/names/rule_texts/rule_text.hpp"

namespace hvp::vmx::checks {

inline constexpr auto guest_table_texts = std::to_array<RuleText>({
    {"guest-{}-base", "The guest {} base is a canonical address.",
     "Write what SGDT stores behind the limit, 8 bytes."},
    {"guest-{}-base", "The guest {} base is a canonical address.",
     "Write what SIDT stores behind the limit, 8 bytes."},
    {"guest-{}-limit", "Bits 31:16 of the guest {} limit are 0.",
     "SGDT stores the limit in its first 2 bytes, and the base behind them; do not read 4."},
    {"guest-{}-limit", "Bits 31:16 of the guest {} limit are 0.",
     "SIDT stores the limit in its first 2 bytes, and the base behind them; do not read 4."},
});

inline constexpr auto guest_rip_texts = std::to_array<RuleText>({
    {"guest-rip-high",
     "Bits 63:32 of the guest RIP are 0, unless \"IA-32e mode guest\" and L (bit 13) of the guest "
     "CS access rights are 1.",
     "For 64-bit code set both: CS rights A09BH or 209BH, VM-entry control bit 9. A 64-bit kernel "
     "with L = 0 in CS is the usual cause."},
    {"guest-rip-canonical",
     "For 64-bit code, bits 63:N of the guest RIP are identical, where N is the number of linear-"
     "address bits.",
     "Write a linear address, 8 bytes. (One past the highest canonical address is not refused by "
     "Bochs 2.7.)"},
    {"guest-rflags-reserved", "Bits 63:22, 15, 5 and 3 of the guest RFLAGS are 0.",
     "Write what PUSHFQ stores."},
    {"guest-rflags-bit-1", "Bit 1 of the guest RFLAGS is 1.",
     "The smallest value of RFLAGS is 2; a field that was never written is 0."},
    {"guest-rflags-vm",
     "VM (bit 17) of the guest RFLAGS is 0 for an IA-32e mode guest and in real mode (CR0.PE = 0).",
     "Virtual-8086 mode is a part of 32-bit protected mode."},
    {"guest-rflags-if", "IF (bit 9) of the guest RFLAGS is 1 if an external interrupt is injected.",
     "Wait until the guest can take it: set \"interrupt-window exiting\", and inject at that "
     "exit."},
});

}  // namespace hvp::vmx::checks
