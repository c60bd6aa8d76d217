// Reading the MTRRs, and the types that follow from them.
#include "hypervisor/arch/mtrr.hpp"

#include <algorithm>
#include <bit>
#include <utility>

#include "hypervisor/arch/cpuid.hpp"
#include "hypervisor/arch/instructions.hpp"

namespace hvp::arch {
namespace {

constexpr std::uint64_t mask_valid = 1U << 11;
constexpr std::uint64_t frame_bits = 0x000F'FFFF'FFFF'F000;
constexpr std::uint64_t no_change = ~0ULL;

constexpr std::uint32_t ranges_of_register = 8;
constexpr std::uint64_t fixed_end = 0x10'0000;

constexpr Msr operator+(Msr msr, std::uint32_t offset) {
    return static_cast<Msr>(std::to_underlying(msr) + offset);
}

MemoryType type_in(std::uint64_t bits) {
    return is_memory_type(bits) ? static_cast<MemoryType>(bits) : MemoryType::uncacheable;
}

bool fixed_ranges_decide(const MtrrSnapshot& mtrrs, std::uint64_t address) {
    return address < fixed_end && mtrrs.capabilities.fixed_ranges != 0 &&
           mtrrs.default_type.fixed_enabled != 0;
}

/// A fixed range: its type, and where it ends.
struct FixedRange {
    MemoryType type;
    std::uint64_t end;
};
FixedRange fixed_range_at(const MtrrSnapshot& mtrrs, std::uint64_t address) {
    std::size_t first = 0;
    const FixedMtrrs* group = fixed_mtrrs.data();
    while (address >=
           group->start + group->registers * ranges_of_register * group->bytes_of_range) {
        first += group->registers;
        ++group;
    }
    const std::uint64_t range = (address - group->start) / group->bytes_of_range;
    const std::uint64_t types = mtrrs.fixed[first + range / ranges_of_register];
    return {.type = type_in(types >> 8 * (range % ranges_of_register) & 0xFF),
            .end = group->start + (range + 1) * group->bytes_of_range};
}

bool matches(const VariableMtrr& range, std::uint64_t address) {
    return (range.mask & mask_valid) != 0 &&
           ((address ^ range.base) & range.mask & frame_bits) == 0;
}

MemoryType of_both(MemoryType a, MemoryType b) {
    if (a == b) {
        return a;
    }
    using enum MemoryType;
    const bool through_and_back =
        (a == write_through && b == write_back) || (a == write_back && b == write_through);
    return through_and_back ? write_through : uncacheable;
}

/// The first address above this one at which the range register begins or ceases to match.
std::uint64_t next_change(const VariableMtrr& range, std::uint64_t address) {
    const std::uint64_t mask = range.mask & frame_bits;
    if ((range.mask & mask_valid) == 0 || mask == 0) {
        return no_change;
    }
    const std::uint64_t difference = (address ^ range.base) & mask;
    if (difference == 0) {
        // Bits below the lowest one of the mask may be anything; one step further this one flips.
        return (address | ((mask & -mask) - 1)) + 1;
    }
    // The next match agrees with `address` down to some bit, has a 1 there in place of a 0, and is
    // as small as can be below. That bit is the highest one that disagrees, if it is to become 1;
    // else the lowest one above it that the mask leaves free, and that is still 0.
    const std::uint64_t highest = std::bit_floor(difference);
    std::uint64_t flipped = highest;
    if ((address & highest) != 0) {
        const std::uint64_t free = ~address & ~mask & frame_bits & ~(2 * highest - 1);
        flipped = free & -free;
        if (flipped == 0) {
            return no_change;
        }
    }
    return (address & ~(2 * flipped - 1)) | flipped | (range.base & mask & (flipped - 1));
}

std::uint64_t next_change(const MtrrSnapshot& mtrrs, std::uint64_t address) {
    if (mtrrs.default_type.enabled == 0) {
        return no_change;
    }
    std::uint64_t change = next_change(mtrrs.smrr, address);
    if (fixed_ranges_decide(mtrrs, address)) {
        return std::min(change, fixed_range_at(mtrrs, address).end);
    }
    for (const VariableMtrr& range : mtrrs.variable_ranges()) {
        change = std::min(change, next_change(range, address));
    }
    return change;
}

/// Writable outside system management mode by nobody, but readable. It has addresses of 32 bits.
/// [SDM 3A 11.11.2.4 "System-Management Range Register Interface"]
VariableMtrr read_smrr() {
    constexpr std::uint64_t upper_half = frame_bits & ~0xFFFF'FFFFULL;
    const std::uint64_t mask = rdmsr(Msr::smrr_physmask);
    return {.base = rdmsr(Msr::smrr_physbase), .mask = mask | upper_half};
}

/// The pair's number, twice, and one more for the mask.
std::uint32_t offset_in_pairs(Msr msr) {
    return std::to_underlying(msr) - std::to_underlying(Msr::mtrr_physbase0);
}
bool is_variable(Msr msr, MtrrCapabilities capabilities) {
    const auto pairs = std::min<std::size_t>(capabilities.variable_count, most_variable_mtrrs);
    return offset_in_pairs(msr) < 2 * pairs;
}
/// Where a snapshot has it.
std::size_t index_of_fixed(Msr msr) {
    std::size_t first = 0;
    for (const FixedMtrrs& group : fixed_mtrrs) {
        const std::uint32_t offset = std::to_underlying(msr) - std::to_underlying(group.first);
        if (offset < group.registers) {
            return first + offset;
        }
        first += group.registers;
    }
    return 0;
}
bool is_fixed(Msr msr, MtrrCapabilities capabilities) {
    return capabilities.fixed_ranges != 0 &&
           std::ranges::any_of(fixed_mtrrs, [msr](const FixedMtrrs& group) {
               return msr >= group.first && msr < group.first + group.registers;
           });
}

}  // namespace

MtrrSnapshot read_mtrrs() {
    MtrrSnapshot mtrrs{};
    if ((cpuid(1).edx & cpuid_1_edx_mtrr) == 0) {
        return mtrrs;
    }
    mtrrs.capabilities = std::bit_cast<MtrrCapabilities>(rdmsr(Msr::mtrrcap));
    mtrrs.default_type = std::bit_cast<MtrrDefaultType>(rdmsr(Msr::mtrr_def_type));
    if (mtrrs.capabilities.fixed_ranges != 0) {
        std::size_t next = 0;
        for (const FixedMtrrs& group : fixed_mtrrs) {
            for (std::uint32_t i = 0; i < group.registers; ++i) {
                mtrrs.fixed[next++] = rdmsr(group.first + i);
            }
        }
    }
    for (std::uint32_t i = 0; i < mtrrs.variable_ranges().size(); ++i) {
        mtrrs.variable[i] = {.base = rdmsr(Msr::mtrr_physbase0 + 2 * i),
                             .mask = rdmsr(Msr::mtrr_physmask0 + 2 * i)};
    }
    if (mtrrs.capabilities.smrr != 0) {
        mtrrs.smrr = read_smrr();
    }
    return mtrrs;
}

std::uint32_t mtrr_address_bits() {
    constexpr std::uint32_t has_memory_encryption = 1U << 13;
    constexpr std::uint64_t is_active = 1U << 1;
    const std::uint32_t all = physical_address_bits();
    if ((cpuid(7).ecx & has_memory_encryption) == 0) {
        return all;
    }
    const std::uint64_t activate = rdmsr(Msr::tme_activate);
    const auto key_bits = static_cast<std::uint32_t>(activate >> 32 & 0xF);
    return (activate & is_active) != 0 ? all - key_bits : all;
}

std::optional<std::uint64_t> mtrr_of(const MtrrSnapshot& mtrrs, Msr msr) {
    if (msr == Msr::mtrr_def_type) {
        return std::bit_cast<std::uint64_t>(mtrrs.default_type);
    }
    if (is_variable(msr, mtrrs.capabilities)) {
        const VariableMtrr& pair = mtrrs.variable[offset_in_pairs(msr) / 2];
        return offset_in_pairs(msr) % 2 != 0 ? pair.mask : pair.base;
    }
    if (is_fixed(msr, mtrrs.capabilities)) {
        return mtrrs.fixed[index_of_fixed(msr)];
    }
    return std::nullopt;
}

void set_mtrr(MtrrSnapshot& mtrrs, Msr msr, std::uint64_t value) {
    if (msr == Msr::mtrr_def_type) {
        mtrrs.default_type = std::bit_cast<MtrrDefaultType>(value);
    } else if (is_variable(msr, mtrrs.capabilities)) {
        VariableMtrr& pair = mtrrs.variable[offset_in_pairs(msr) / 2];
        (offset_in_pairs(msr) % 2 != 0 ? pair.mask : pair.base) = value;
    } else if (is_fixed(msr, mtrrs.capabilities)) {
        mtrrs.fixed[index_of_fixed(msr)] = value;
    }
}

MemoryType mtrr_type_of(const MtrrSnapshot& mtrrs, HostPhysicalAddress address) {
    if (mtrrs.default_type.enabled == 0 || matches(mtrrs.smrr, address.raw())) {
        return MemoryType::uncacheable;
    }
    if (fixed_ranges_decide(mtrrs, address.raw())) {
        return fixed_range_at(mtrrs, address.raw()).type;
    }
    MemoryType type = type_in(mtrrs.default_type.type);
    bool found = false;
    for (const VariableMtrr& range : mtrrs.variable_ranges()) {
        if (matches(range, address.raw())) {
            const MemoryType here = type_in(range.base & 0xFF);
            type = found ? of_both(type, here) : here;
            found = true;
        }
    }
    return type;
}

UniformRange next_uniform(const MtrrSnapshot& mtrrs, HostPhysicalAddress start,
                          HostPhysicalAddress limit) {
    UniformRange range{.start = start, .end = start, .type = mtrr_type_of(mtrrs, start)};
    for (std::uint32_t step = 0; step < most_steps; ++step) {
        range.end = HostPhysicalAddress{next_change(mtrrs, range.end.raw())};
        if (range.end >= limit) {
            range.end = limit;
            break;
        }
        if (mtrr_type_of(mtrrs, range.end) != range.type) {
            break;
        }
    }
    return range;
}

bool valid_mtrr_write(Msr msr, std::uint64_t value, MtrrCapabilities capabilities,
                      std::uint32_t physical_address_bits) {
    const auto has_type = [capabilities](std::uint64_t type) {
        return is_memory_type(type) &&
               (capabilities.write_combining != 0 ||
                static_cast<MemoryType>(type) != MemoryType::write_combining);
    };
    const std::uint64_t address_bits = frame_bits & ((1ULL << physical_address_bits) - 1);
    if (msr == Msr::mtrr_def_type) {
        constexpr std::uint64_t switches = 3U << 10;
        return (value & ~(switches | 0xFF)) == 0 && has_type(value & 0xFF);
    }
    if (is_variable(msr, capabilities)) {
        const bool is_mask = offset_in_pairs(msr) % 2 != 0;
        return is_mask ? (value & ~(address_bits | mask_valid)) == 0
                       : (value & ~(address_bits | 0xFF)) == 0 && has_type(value & 0xFF);
    }
    if (!is_fixed(msr, capabilities)) {
        return false;
    }
    for (std::uint32_t i = 0; i < ranges_of_register; ++i) {
        if (!has_type(value >> 8 * i & 0xFF)) {
            return false;
        }
    }
    return true;
}

}  // namespace hvp::arch
