// The clock of Windows.
#pragma once

#include <cstdint>

namespace hvp::windows {

/// A counter that the clock interrupt advances, on a page that Windows maps everywhere at the same
/// address and keeps readable. [Windows: KeQueryTickCount] reads it there, too.
[[nodiscard]] inline const volatile std::uint32_t* clock_ticks() {
    constexpr std::uint64_t tick_count = 0xFFFF'F780'0000'0320;
    return reinterpret_cast<const volatile std::uint32_t*>(tick_count);
}

}  // namespace hvp::windows
