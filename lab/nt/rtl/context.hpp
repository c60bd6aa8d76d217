// CONTEXT: a processor's registers as Windows describes them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace hvp::lab::rtl {

/// [Windows: CONTEXT structure] capture_context.S writes it by these offsets.
struct alignas(16) Context {
    std::array<std::uint64_t, 6> home{};
    std::uint32_t flags{};
    std::uint32_t mxcsr{};
    std::uint16_t cs{}, ds{}, es{}, fs{}, gs{}, ss{};
    std::uint32_t eflags{};
    std::array<std::uint64_t, 6> debug_registers{};
    /// RAX RCX RDX RBX RSP RBP RSI RDI R8 … R15: in the order of their numbers in instructions.
    std::array<std::uint64_t, 16> general{};
    std::uint64_t rip{};
    std::array<std::uint8_t, 0x200> fxsave{};
    std::array<std::uint8_t, 0x1A0> vector_registers{};
    std::array<std::uint64_t, 6> debug_control{};
};
static_assert(sizeof(Context) == 0x4D0);
static_assert(offsetof(Context, flags) == 0x30);
static_assert(offsetof(Context, eflags) == 0x44);
static_assert(offsetof(Context, general) == 0x78);
static_assert(offsetof(Context, rip) == 0xF8);
static_assert(offsetof(Context, fxsave) == 0x100);

extern "C" void RtlCaptureContext(Context* context);

}  // namespace hvp::lab::rtl
