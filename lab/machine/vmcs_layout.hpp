// Where Bochs 2.7 keeps the fields of a VMCS in its 4 KB. A processor's own format is nobody's
// business, and other processors have others; but this is how the debugger can show a VMCS without
// executing VMREAD. tests/lab/vmcs_layout_test.cpp holds this against what VMWRITE writes, field by
// field and model by model.
#pragma once

#include <cstdint>
#include <optional>

#include "lab/machine/debugger_answers.hpp"

namespace hvp::lab {

/// Returns  the field's offset in the VMCS; nothing for an encoding that finds no place there.
/// [SDM 3C 24.11.2 "VMREAD, VMWRITE, and Encodings of VMCS Fields"] has the parts of an encoding
[[nodiscard]] constexpr std::optional<std::uint64_t> vmcs_offset(std::uint32_t encoding) {
    // Revision identifier, abort indicator, launch state.
    constexpr std::uint64_t header_bytes = 16;
    constexpr std::uint32_t slots = 64;           // of four bytes, for each width and type
    const std::uint32_t slot = encoding & 0x3FF;  // the index, and the access type below it
    const std::uint32_t type = (encoding >> 10) & 3;
    const std::uint32_t width = (encoding >> 13) & 3;
    if (slot >= slots || encoding >> 15 != 0) {
        return std::nullopt;
    }
    return header_bytes + std::uint64_t{(width * 4 + type) * slots + slot} * 4;
}

/// Returns  whether the field holds a segment's access rights, which are kept rotated to the left by
///          eight bits
[[nodiscard]] constexpr bool is_kept_rotated(std::uint32_t encoding) {
    constexpr std::uint32_t guest_es_rights = 0x4814;
    constexpr std::uint32_t guest_tr_rights = 0x4822;
    return encoding >= guest_es_rights && encoding <= guest_tr_rights;
}

/// Returns  a field of the VMCS at this physical address, if the debugger has shown its place
[[nodiscard]] std::optional<std::uint64_t> vmcs_field(const DebuggerStop& stop, std::uint64_t vmcs,
                                                      std::uint32_t encoding);

}  // namespace hvp::lab
