// x87, SSE, AVX and the other states of XSAVE: part of a thread's context.
#pragma once

#include <array>
#include <cstdint>

namespace hvp::lab::ke {

/// One thread's save area, in the format of XSAVES, or of XSAVE or FXSAVE where that is all there
/// is.
/// [SDM 3A 13.7 "THE XSAVE FEATURE SET AND PROCESSOR SUPERVISOR STATE MANAGEMENT"]
class alignas(64) ExtendedState {
public:
    static constexpr std::uint32_t initial_mxcsr = 0x1F80;

    void save();
    void save_even_if_unused();
    void load() const;

private:
    using Area = std::array<std::uint8_t, 4032>;  // AVX-512 needs 2696
    [[nodiscard]] static constexpr Area initial_area(bool compacted);

    alignas(64) Area area_{};
    bool initial_{true};  ///< all in the initial configuration; the area is unused
};

}  // namespace hvp::lab::ke
