// How the processor caches an access.
#pragma once

#include <cstdint>

namespace hvp::arch {

/// The types that an MTRR, the PAT and an EPT entry can name; 2, 3 and all above 6 are reserved.
/// [SDM 3A 11.11 "Memory Type Range Registers (MTRRs)", Table 11-8]
enum class MemoryType : std::uint8_t {
    uncacheable = 0,
    write_combining = 1,
    write_through = 4,
    write_protected = 5,
    write_back = 6,
};

[[nodiscard]] constexpr bool is_memory_type(std::uint64_t value) {
    return value <= 6 && value != 2 && value != 3;
}

}  // namespace hvp::arch
