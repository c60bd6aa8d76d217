// Whether a function is about to return. Unwind data of version 1 tells nothing of epilogues: they
// are known by their instructions, which are few.  [Windows: x64 exception handling, "Unwind
// procedure"] Pure: compiled and tested on the host too.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "lab/nt/ldr/pe_tables.hpp"

namespace hvp::lab::rtl {

/// What an epilogue has still to do before its RET or JMP.
struct Epilogue {
    bool from_frame_register{};  ///< RSP := the frame register + `displacement`, else RSP += it
    std::int32_t displacement{};
    std::array<std::uint8_t, 16> popped{};  ///< numbers of registers, in order
    std::size_t pops{};
};

/// Reads the instructions from `address`; addresses are relative to the image.
///
/// Returns  nothing if they are no end of an epilogue: then the frame of the function still stands
[[nodiscard]] std::optional<Epilogue> find_epilogue(const pe::Headers& headers, pe::Bytes memory,
                                                    const pe::RuntimeFunction& function,
                                                    std::uint8_t frame_register,
                                                    std::uint32_t address);

}  // namespace hvp::lab::rtl
