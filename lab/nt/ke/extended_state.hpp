// x87, SSE, AVX and what else XSAVE knows: a thread takes it along from processor to processor.
#pragma once

#include <array>
#include <cstdint>

namespace hvp::lab::ke {

/// Room for one thread's registers, in the form of XSAVE, or of FXSAVE where there is no XSAVE.
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
    bool initial_{};                         ///< all is as after reset, and the area means nothing
};

}  // namespace hvp::lab::ke
