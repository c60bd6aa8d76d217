// x87, SSE, AVX and the other states of XSAVE: part of a thread's context.
#pragma once

#include <array>
#include <cstdint>

namespace hvp::lab::ke {

/// One thread's save area, in the format of XSAVE, or of FXSAVE where there is no XSAVE.
/// [SDM 3A 13.7 "THE XSAVE FEATURE SET AND PROCESSOR SUPERVISOR STATE MANAGEMENT"]
class alignas(64) ExtendedState {
public:
    static constexpr std::uint32_t initial_mxcsr = 0x1F80;

    /// What the registers hold after FNINIT and with MXCSR as after reset.
    constexpr ExtendedState() {
        area_[0] = 0x7F;  // FCW 037Fh
        area_[1] = 0x03;
        area_[24] = initial_mxcsr & 0xFF;
        area_[25] = initial_mxcsr >> 8;
    }

    void save();
    void load() const;

private:
    std::array<std::uint8_t, 4032> area_{};  // AVX-512 needs 2696
    bool initial_{};  ///< all in the initial configuration; the area is unused
};

}  // namespace hvp::lab::ke
