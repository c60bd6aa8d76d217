// Every field that this processor has, read after a VM entry that failed: so that somebody can say
// which rule was broken.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "hypervisor/arch/instructions.hpp"
#include "hypervisor/vmcs/fields.hpp"

namespace hvp::vmx {

/// Encodings and values by turns, in the order of the encodings.
struct VmcsDump {
    std::uint16_t used;
    std::array<std::uint64_t, 400> words;  ///< our edition of the manual has 166 fields

    [[nodiscard]] std::span<const std::uint64_t> all() const { return {words.data(), used}; }
};

/// Reads the fields of the current VMCS. There is no list of them: every encoding is tried, and
/// those that this processor does not have are left out. A VMREAD that fails leaves its own error
/// number, 12, in the VM-instruction error field, so the walk over all encodings begins with that
/// field, and comes around to it.
/// [SDM 3C 30.2 "Conventions"]
///
/// Where    VMX root operation, with a current VMCS; a thousand VMREADs
/// Source   [SDM 3C 24.11.2 "VMREAD, VMWRITE, and Encodings of VMCS Fields"]
[[gnu::noinline]] inline void read_all_fields(VmcsDump& dump) {
    // The index is 9 bits wide, but no processor has one of 64 or more: bits 9:7 of the encoding
    // stay 0. So do bit 12, which is reserved, and bit 0, the upper half of a 64-bit field. With
    // all of them at 1 an addition carries over them.
    constexpr std::uint32_t unused = 0x1381;
    constexpr std::uint32_t encodings = 0x7FFF & ~unused;
    constexpr std::uint32_t first = vm_instruction_error.encoding;
    std::uint32_t used = 0;
    std::uint32_t encoding = first;
    do {
        std::uint64_t* const pair = dump.words.data() + used;
        pair[0] = encoding;
        used += arch::try_vmread(encoding, pair[1]) ? 2 : 0;
        encoding = ((encoding | unused) + 1) & encodings;
    } while (encoding != first && used < dump.words.size());
    dump.used = static_cast<std::uint16_t>(used);
}

}  // namespace hvp::vmx
