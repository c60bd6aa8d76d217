// Which accesses to MSRs exit.
//
// The MSR bitmap has a bit for each of the 2 x 8192 MSRs of the two ranges, once for reading and
// once for writing: 1 is an exit. Numbers outside the ranges always exit; no MSR that we know is
// there. [SDM 3C 24.6.9 "MSR-Bitmap Address"]
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "hypervisor/arch/msr.hpp"

namespace hvp::vmx {

/// Which way an MSR goes.
enum class MsrAccess : std::uint8_t { read, write };

/// The bit of the MSR bitmap for an access, counted from its start.
///
/// Returns  nothing for an MSR outside both ranges
/// Source   [SDM 3C 24.6.9 "MSR-Bitmap Address"]
[[nodiscard]] constexpr std::optional<std::size_t> msr_bitmap_bit(std::uint32_t msr,
                                                                  MsrAccess access) {
    constexpr std::uint32_t range = 0x2000;
    constexpr std::uint32_t high_start = 0xC000'0000;
    constexpr std::size_t bits_of_quarter = 1024 * 8;
    const std::size_t first = access == MsrAccess::write ? 2 * bits_of_quarter : 0;
    if (msr < range) {
        return first + msr;
    }
    if (msr >= high_start && msr < high_start + range) {
        return first + bits_of_quarter + (msr - high_start);
    }
    return std::nullopt;
}

/// Some MSRs with neighbouring numbers, and which accesses to them exit. All others find the
/// processor's register.
struct MsrPolicies {
    arch::Msr first{};
    std::uint32_t count{1};
    bool read_exits{};
    bool write_exits{};
};

/// Sets the bits of the accesses that exit.
constexpr void fill_msr_bitmap(std::span<std::byte> bitmap, std::span<const MsrPolicies> table) {
    const auto intercept = [&](std::uint32_t msr, MsrAccess access) {
        // An MSR without a bit exits always: there is nothing to set.
        if (const std::optional<std::size_t> bit = msr_bitmap_bit(msr, access)) {
            bitmap[*bit / 8] |= std::byte{1} << *bit % 8;
        }
    };
    for (const MsrPolicies& row : table) {
        for (std::uint32_t i = 0; i < row.count; ++i) {
            const std::uint32_t msr = static_cast<std::uint32_t>(row.first) + i;
            if (row.read_exits) {
                intercept(msr, MsrAccess::read);
            }
            if (row.write_exits) {
                intercept(msr, MsrAccess::write);
            }
        }
    }
}

}  // namespace hvp::vmx
