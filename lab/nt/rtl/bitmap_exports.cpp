// RtlInitializeBitMap, RtlSetBit, RtlClearBits.
#include <cstdint>

#include "lab/nt/rtl/export.hpp"

namespace hvp::lab::rtl {
namespace {

/// [Windows: RTL_BITMAP]
struct Bitmap {
    std::uint32_t bits{};
    std::uint32_t* buffer{};
};
static_assert(sizeof(Bitmap) == 0x10);

constexpr std::uint32_t word_bits = 32;

}  // namespace

/// [Windows: RtlInitializeBitMap] The bits themselves stay as they are.
NT_EXPORT void RtlInitializeBitMap(Bitmap* bitmap, std::uint32_t* buffer, std::uint32_t bits) {
    *bitmap = {.bits = bits, .buffer = buffer};
}

/// [Windows: RtlSetBit]
NT_EXPORT void RtlSetBit(Bitmap* bitmap, std::uint32_t bit) {
    bitmap->buffer[bit / word_bits] |= 1U << bit % word_bits;
}

/// [Windows: RtlClearBits]
NT_EXPORT void RtlClearBits(Bitmap* bitmap, std::uint32_t first, std::uint32_t count) {
    for (std::uint32_t bit = first; bit < first + count; ++bit) {
        bitmap->buffer[bit / word_bits] &= ~(1U << bit % word_bits);
    }
}

}  // namespace hvp::lab::rtl
