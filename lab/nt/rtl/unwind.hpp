// From a function's registers to its caller's, by the unwind data of Windows x64 images.
// [Windows: x64 exception handling] Version 1 codes; an epilogue is recognised by its instructions.
// Pure: compiled and tested on the host too.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "lab/nt/ldr/pe_tables.hpp"

namespace hvp::lab::rtl {

/// Numbers of registers in unwind codes (and in instructions).
inline constexpr std::size_t rsp_number = 4;

/// The registers that a walk over the stack follows.
struct Registers {
    std::array<std::uint64_t, 16> general{};  ///< RAX RCX RDX RBX RSP RBP RSI RDI R8 … R15
    std::uint64_t rip{};
    std::array<std::array<std::uint64_t, 2>, 16> vectors{};  ///< XMM0 … XMM15

    [[nodiscard]] std::uint64_t& rsp() { return general[rsp_number]; }
};

/// Reads a quadword of the stack; nothing where nothing is mapped.
using ReadStack = std::optional<std::uint64_t> (*)(std::uint64_t address);

/// An image in memory.
struct ImageView {
    const pe::Headers* headers{};
    pe::Bytes memory{};
    std::uint64_t base{};
};

/// When a function's handler is called.
enum class HandlerKind : std::uint8_t { exception = 1, unwind = 2 };

/// What unwind data says about a function; addresses are relative to the image.
struct FrameFacts {
    pe::RuntimeFunction function{};  ///< empty: a leaf function
    std::uint64_t establisher{};     ///< the frame's address, as the function's handlers get it
    std::uint32_t handler{};         ///< 0: none, or RIP is in the prologue or an epilogue
    std::uint32_t handler_data{};
    std::uint8_t handler_kinds{};
    std::uint64_t machine_frame{};  ///< where the processor saved what it interrupted; 0: nowhere

    [[nodiscard]] bool has(HandlerKind kind) const {
        return (handler_kinds & static_cast<std::uint8_t>(kind)) != 0;
    }
};

/// Turns the registers of the function that holds RIP into those of its caller.
///
/// Returns  false if the stack or the unwind data cannot be read; `registers` is undefined then.
[[nodiscard]] bool unwind(const ImageView& image, Registers& registers, ReadStack read_stack,
                          FrameFacts* facts = nullptr);

/// The same for a leaf function, which has no unwind data: RSP points to its return address.
[[nodiscard]] bool unwind_leaf(Registers& registers, ReadStack read_stack);

}  // namespace hvp::lab::rtl
