// From a function's registers to its caller's, by the unwind data that Windows x64 images carry.
// [Windows: x64 exception handling] Version 1 codes; an address inside an epilogue is taken for
// one in the body. Pure: compiled and tested on the host too.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "lab/nt/ldr/pe_tables.hpp"

namespace hvp::lab::rtl {

/// Numbers of registers in unwind codes (and in instructions).
inline constexpr std::size_t rsp_number = 4;

/// What a walk over the stack keeps track of.
struct Registers {
    std::array<std::uint64_t, 16> general{};  ///< RAX RCX RDX RBX RSP RBP RSI RDI R8 … R15
    std::uint64_t rip{};

    [[nodiscard]] std::uint64_t& rsp() { return general[rsp_number]; }
};

/// Reads a quadword of the stack; nothing where no memory is.
using ReadStack = std::optional<std::uint64_t> (*)(std::uint64_t address);

/// An image in memory.
struct ImageView {
    const pe::Headers* headers{};
    pe::Bytes memory{};
    std::uint64_t base{};
};

/// Turns the registers of the function that holds RIP into those of its caller.
///
/// Returns  false if the stack or the unwind data cannot be read; `registers` is spoilt then.
[[nodiscard]] bool unwind(const ImageView& image, Registers& registers, ReadStack read_stack);

}  // namespace hvp::lab::rtl
