// Settings of MTRRs for tests, and what the SDM's text says of them, word by word.
#pragma once

#include <bit>
#include <cstdint>
#include <initializer_list>
#include <random>

#include "hypervisor/arch/mtrr.hpp"

namespace hvp::arch {

inline constexpr std::uint64_t mb = 1ULL << 20;
inline constexpr MtrrCapabilities usual_capabilities{
    .variable_count = 10, .fixed_ranges = 1, .write_combining = 1};

/// Enabled MTRRs with these pairs, as they stand in the registers.
inline MtrrSnapshot with_pairs(std::initializer_list<VariableMtrr> pairs,
                               MemoryType otherwise = MemoryType::uncacheable) {
    MtrrSnapshot mtrrs{
        .capabilities = usual_capabilities,
        .default_type = {.type = static_cast<std::uint64_t>(otherwise), .enabled = 1}};
    std::size_t next = 0;
    for (const VariableMtrr& pair : pairs) {
        mtrrs.variable[next++] = pair;
    }
    return mtrrs;
}

/// What firmware would set for a machine with this much memory, of which the part beyond 3 GBytes
/// lies above 4 GBytes: all of it write-back, video memory uncacheable, ROMs write-protected.
inline MtrrSnapshot of_machine(std::uint64_t memory_mb, std::uint32_t physical_address_bits) {
    const std::uint64_t all = (1ULL << physical_address_bits) - 1;
    const auto pair = [all](std::uint64_t start, std::uint64_t bytes, MemoryType type) {
        return VariableMtrr{.base = start | static_cast<std::uint64_t>(type),
                            .mask = (all & ~(bytes - 1)) | 1U << 11};
    };
    MtrrSnapshot mtrrs = with_pairs({});
    mtrrs.default_type.fixed_enabled = 1;
    mtrrs.fixed = {0x0606060606060606, 0x0606060606060606, 0,
                   0x0505050505050505, 0x0505050505050505, 0x0505050505050505,
                   0x0505050505050505, 0x0505050505050505, 0x0505050505050505,
                   0x0505050505050505, 0x0505050505050505};
    std::size_t next = 0;
    std::uint64_t start = 0;
    for (std::uint64_t left = memory_mb * mb; left != 0;) {
        std::uint64_t bytes = 1ULL << (63 - __builtin_clzll(left));
        while (start % bytes != 0 || (start < 3072 * mb && start + bytes > 3072 * mb)) {
            bytes /= 2;
        }
        mtrrs.variable[next++] = pair(start, bytes, MemoryType::write_back);
        start += bytes;
        left -= bytes;
        start = start == 3072 * mb ? 4096 * mb : start;
    }
    return mtrrs;
}

/// "MTRR Precedences", sentence after sentence.  [SDM 3A 11.11.4.1 "MTRR Precedences"]
inline MemoryType by_the_text(const MtrrSnapshot& mtrrs, std::uint64_t address) {
    if (mtrrs.default_type.enabled == 0) {
        return MemoryType::uncacheable;
    }
    if (address < mb && mtrrs.capabilities.fixed_ranges != 0 &&
        mtrrs.default_type.fixed_enabled != 0) {
        // Table 11-9, counted out: which register, and which byte of it.
        const std::size_t range = address < 0x80000   ? address / 0x10000
                                  : address < 0xC0000 ? 8 + (address - 0x80000) / 0x4000
                                                      : 24 + (address - 0xC0000) / 0x1000;
        return static_cast<MemoryType>(mtrrs.fixed[range / 8] >> range % 8 * 8 & 0xFF);
    }
    std::uint32_t matching = 0;  // a set of types, by their numbers
    for (std::size_t i = 0; i < mtrrs.capabilities.variable_count; ++i) {
        const VariableMtrr& pair = mtrrs.variable[i];
        if ((pair.mask & 0x800) != 0 &&
            ((address & pair.mask) >> 12 == (pair.base & pair.mask) >> 12)) {
            matching |= 1U << (pair.base & 0xFF);
        }
    }
    if (matching == 0) {
        return static_cast<MemoryType>(mtrrs.default_type.type);
    }
    if (std::has_single_bit(matching)) {
        return static_cast<MemoryType>(std::countr_zero(matching));
    }
    if (matching == (1U << 4 | 1U << 6)) {
        return MemoryType::write_through;
    }
    return MemoryType::uncacheable;  // as the text says, or where it says "undefined"
}

/// Settings of all kinds, in `bits` bits of addresses: with holes in some masks, overlaps, invalid
/// pairs, parts that are switched off.
class RandomMtrrs {
public:
    explicit RandomMtrrs(std::uint64_t seed) : random_{seed} {}

    std::uint64_t below(std::uint64_t end) { return random_() % end; }
    MemoryType some_type() {
        constexpr MemoryType types[] = {MemoryType::uncacheable, MemoryType::write_combining,
                                        MemoryType::write_through, MemoryType::write_protected,
                                        MemoryType::write_back};
        return types[below(5)];
    }
    MtrrSnapshot next(std::uint32_t bits, bool holes) {
        MtrrSnapshot mtrrs{.capabilities = usual_capabilities};
        mtrrs.capabilities.variable_count = below(11);
        mtrrs.capabilities.fixed_ranges = below(8) != 0;
        mtrrs.default_type = {.type = static_cast<std::uint64_t>(some_type()),
                              .fixed_enabled = below(2),
                              .enabled = below(8) != 0};
        for (std::uint64_t& types : mtrrs.fixed) {
            const MemoryType most = some_type();
            for (int i = 0; i < 8; ++i) {
                const MemoryType type = below(4) == 0 ? some_type() : most;
                types = types << 8 | static_cast<std::uint64_t>(type);
            }
        }
        const std::uint64_t all = ((1ULL << bits) - 1) & ~0xFFFULL;
        // Two types in most settings, so that ranges of the same type meet and overlap.
        const MemoryType few[] = {some_type(), MemoryType::write_back, some_type()};
        for (VariableMtrr& pair : mtrrs.variable) {
            const std::uint64_t bytes = 1ULL << (12 + below(bits - 12));
            pair.base = (random_() & all) | static_cast<std::uint64_t>(few[below(3)]);
            if (below(3) != 0) {
                pair.base &= ~(bytes - 1) | 0xFF;  // as 11.11.4 wants it; else it need not be
            }
            pair.mask = (all & ~(bytes - 1)) | (below(5) != 0 ? 0x800U : 0U);
            if (holes && below(4) == 0) {
                pair.mask &= ~(1ULL << (12 + below(bits - 12)));
            }
        }
        return mtrrs;
    }

private:
    std::mt19937_64 random_;
};

}  // namespace hvp::arch
