#include "hypervisor/arch/segments.hpp"

#include <bit>

namespace hvp::arch {
namespace {

/// Bits `high`:`low` of a descriptor, by the SDM's bit numbers.
template <unsigned high, unsigned low>
constexpr std::uint64_t bits(std::uint64_t word) {
    static_assert(high >= low && high < 64);
    return word >> low & (~0ULL >> (63 - (high - low)));
}

/// [SDM 3A 3.4.5 "Segment Descriptors", Figure 3-8]: base and limit lie in pieces.
std::uint64_t base_of(std::uint64_t descriptor) {
    return bits<63, 56>(descriptor) << 24 | bits<39, 16>(descriptor);
}

SegmentLimit limit_of(std::uint64_t descriptor) {
    const auto raw =
        static_cast<std::uint32_t>(bits<51, 48>(descriptor) << 16 | bits<15, 0>(descriptor));
    const bool in_pages = bits<55, 55>(descriptor) != 0;
    return {in_pages ? raw << 12 | 0xFFF : raw};
}

AccessRights rights_of(std::uint64_t descriptor) {
    auto rights = std::bit_cast<AccessRights>(static_cast<std::uint32_t>(bits<55, 40>(descriptor)));
    // Here a descriptor holds bits 19:16 of the limit; in the VMCS these bits are reserved.
    rights.reserved_11_8 = 0;
    return rights;
}

}  // namespace

std::expected<Segment, SegmentError> look_up(std::span<const std::uint64_t> gdt,
                                             Selector selector) {
    if (selector.is_null()) {
        return Segment{.selector = selector, .rights = {.unusable = 1}};
    }
    if (selector.local_table != 0) {
        return std::unexpected{SegmentError::in_local_table};
    }
    if (selector.index >= gdt.size()) {
        return std::unexpected{SegmentError::beyond_limit};
    }
    const std::uint64_t descriptor = gdt[selector.index];
    Segment segment{
        .selector = selector,
        .base = base_of(descriptor),
        .limit = limit_of(descriptor),
        .rights = rights_of(descriptor),
    };
    if (segment.rights.code_or_data == 0) {
        // A system descriptor (TSS, LDT) is 16 bytes long in IA-32e mode: the second half holds
        // bits 63:32 of the base.
        if (selector.index + 1U >= gdt.size()) {
            return std::unexpected{SegmentError::beyond_limit};
        }
        segment.base |= bits<31, 0>(gdt[selector.index + 1U]) << 32;
    }
    return segment;
}

}  // namespace hvp::arch
