// Whether a function is in its epilogue. Unwind data of version 1 does not describe epilogues: they
// are recognised by their instructions.  [Windows: x64 exception handling, "Unwind procedure"]
// Pure: compiled and tested on the host too.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "lab/nt/ldr/pe_tables.hpp"

namespace hvp::lab::rtl {

/// What the rest of an epilogue does before its RET or JMP.
struct Epilogue {
    bool from_frame_register{};  ///< RSP := the frame register + `displacement`, else RSP += it
    std::int32_t displacement{};
    std::array<std::uint8_t, 16> popped{};  ///< numbers of registers, in order
    std::size_t pops{};
};

/// Reads the instructions from `address`; addresses are relative to the image.
///
/// Returns  nothing if they are not the rest of an epilogue: then the function's frame is complete
[[nodiscard]] std::optional<Epilogue> find_epilogue(const pe::Headers& headers, pe::Bytes memory,
                                                    const pe::RuntimeFunction& function,
                                                    std::uint8_t frame_register,
                                                    std::uint32_t address);

}  // namespace hvp::lab::rtl
