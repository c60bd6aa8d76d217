// Segments: selectors, descriptors, and their form in a VMCS.
//
// In 64-bit mode segments hardly matter, but a VMCS has four fields for each of eight of them, and
// VM entry checks all. The hidden part of a segment register cannot be read, so we read the
// descriptor that the processor once loaded it from.
// [SDM 3A 3.4.5 "Segment Descriptors"], [SDM 3C 24.4.1 "Guest Register State"]
#pragma once

#include <bit>
#include <cstdint>
#include <expected>
#include <span>

#include "hypervisor/arch/address.hpp"

namespace hvp::arch {

/// A segment selector.  [SDM 3A 3.4.2 "Segment Selectors"]
struct Selector {
    std::uint16_t requested_privilege_level : 2 {};
    std::uint16_t local_table : 1 {};  ///< 0: GDT, 1: LDT
    std::uint16_t index : 13 {};

    [[nodiscard]] constexpr bool is_null() const { return index == 0 && local_table == 0; }
    /// The same segment, as the host-state area requires it.
    /// [SDM 3C 26.2.3 "Checks on Host Segment and Descriptor-Table Registers"]
    [[nodiscard]] constexpr Selector for_host() const { return {.index = index}; }
};
static_assert(sizeof(Selector) == sizeof(std::uint16_t));

/// The number that the processor uses for a selector.
[[nodiscard]] constexpr std::uint16_t raw(Selector selector) {
    return std::bit_cast<std::uint16_t>(selector);
}
/// The selector that a number stands for.
[[nodiscard]] constexpr Selector selector_from(std::uint16_t raw) {
    return std::bit_cast<Selector>(raw);
}

/// The highest offset in a segment, in bytes.
struct SegmentLimit {
    std::uint32_t bytes{};
    friend constexpr bool operator==(SegmentLimit, SegmentLimit) = default;
};

/// Segment access rights as the VMCS wants them: bits 23:8 of a descriptor's upper half without
/// the limit's bits, and "unusable".  [SDM 3C 24.4.1 "Guest Register State", Table 24-2]
struct AccessRights {
    std::uint32_t type : 4 {};
    std::uint32_t code_or_data : 1 {};
    std::uint32_t privilege_level : 2 {};
    std::uint32_t present : 1 {};
    std::uint32_t reserved_11_8 : 4 {};
    std::uint32_t available : 1 {};
    std::uint32_t long_mode : 1 {};
    std::uint32_t default_size : 1 {};
    std::uint32_t granularity : 1 {};
    std::uint32_t unusable : 1 {};
    std::uint32_t reserved_31_17 : 15 {};
};
static_assert(sizeof(AccessRights) == sizeof(std::uint32_t));

/// Everything that a segment register holds, the hidden part too.
struct Segment {
    Selector selector{};
    std::uint64_t base{};
    SegmentLimit limit{};
    AccessRights rights{};
};

/// Why a selector could not be resolved.
enum class SegmentError : std::uint8_t {
    in_local_table,  ///< we do not walk LDTs; 64-bit systems have none
    beyond_limit,    ///< the GDT ends before this descriptor
};

/// What the processor loads into a segment register from `gdt` for `selector`.
///
/// Needs    `gdt`: the table as 8-byte entries, up to its limit.
/// Returns  A null selector gives an unusable segment. In 64-bit mode the bases of FS and GS come
///          from MSRs, not from here.
/// Source   [SDM 3A 3.4.5 "Segment Descriptors"],
///          [SDM 3A 3.5.2 "Segment Descriptor Tables in IA-32e Mode"]
[[nodiscard]] std::expected<Segment, SegmentError> look_up(std::span<const std::uint64_t> gdt,
                                                           Selector selector);

}  // namespace hvp::arch
