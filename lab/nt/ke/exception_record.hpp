// From the trap frame to Windows' exception record and CONTEXT, and back.
#pragma once

#include <array>
#include <cstdint>

#include "lab/nt/ke/trap_frame.hpp"
#include "lab/nt/rtl/exception.hpp"

namespace hvp::lab::ke {

/// An exception as Windows sees it.
struct Exception {
    std::uint32_t code{};
    std::uint32_t parameter_count{};
    std::array<std::uint64_t, 2> information{};
};

inline constexpr std::uint32_t access_violation = 0xC000'0005;

[[nodiscard]] rtl::ExceptionRecord record_of(const TrapFrame& frame, const Exception& exception);

/// Writes the interrupted code's registers into a context that RtlCaptureContext has filled. The
/// XMM registers in it are the interrupted code's: the kernel itself uses none.
void write_to(rtl::Context& context, const TrapFrame& frame);

/// The trap frame that a trap at that place would have left.
[[nodiscard]] TrapFrame frame_of(const rtl::Context& context);

/// Addresses of a copy of the EXCEPTION_RECORD and the CONTEXT, which a debugger finds through the
/// parameters of bug check 0x7E. The copies remain valid.
struct ExceptionPointers {
    std::uint64_t record{};
    std::uint64_t context{};
};
[[nodiscard]] ExceptionPointers keep(const rtl::ExceptionRecord& record, const TrapFrame& frame);

}  // namespace hvp::lab::ke
