// The head of a function's unwind data.  [Windows: x64 exception handling, "Struct UNWIND_INFO"]
#pragma once

#include <cstdint>
#include <optional>

#include "lab/nt/ldr/pe_tables.hpp"

namespace hvp::lab::rtl {

struct UnwindHeader {
    std::uint8_t version : 3;
    std::uint8_t flags : 5;
    std::uint8_t prologue_bytes;
    std::uint8_t code_count;
    std::uint8_t frame_register : 4;
    std::uint8_t frame_offset : 4;

    static constexpr std::uint8_t chained = 4;
    static constexpr std::uint8_t both_handlers = 3;

    [[nodiscard]] bool is_chained() const { return (flags & chained) != 0; }
};
static_assert(sizeof(UnwindHeader) == 4);

/// Chained unwind data: a part of a function has unwind data of its own, which names the part
/// before it.
inline constexpr int deepest_chain = 32;

/// Nothing if the data is not of version 1, or lies outside the image.
[[nodiscard]] inline std::optional<UnwindHeader> read_unwind_header(pe::Bytes memory,
                                                                    std::uint32_t unwind_data) {
    const auto header = pe::read<UnwindHeader>(memory, unwind_data);
    return header && header->version == 1 ? header : std::nullopt;
}

/// Where the codes of a function's unwind data begin, and what follows them.
[[nodiscard]] constexpr std::uint64_t codes_at(std::uint32_t unwind_data) {
    return std::uint64_t{unwind_data} + sizeof(UnwindHeader);
}
[[nodiscard]] inline std::uint64_t after_codes(UnwindHeader header, std::uint32_t unwind_data) {
    return codes_at(unwind_data) + (header.code_count + 1U) / 2 * 4;
}

}  // namespace hvp::lab::rtl
