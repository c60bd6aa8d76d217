// The tables that the processor reads by itself, entry by entry: IDT gates, TSS, TSS descriptor.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace hvp::arch {

/// One gate of the IDT.  [SDM 3A 6.14.1 "64-Bit Mode IDT"]
struct InterruptGate {
    std::uint64_t offset_15_0 : 16 {};
    std::uint64_t selector : 16 {};
    std::uint64_t interrupt_stack : 3 {};
    std::uint64_t reserved_39_35 : 5 {};
    std::uint64_t type : 4 {};
    std::uint64_t reserved_44 : 1 {};
    std::uint64_t privilege_level : 2 {};
    std::uint64_t present : 1 {};
    std::uint64_t offset_31_16 : 16 {};
    std::uint64_t offset_63_32 : 32 {};
    std::uint64_t reserved_127_96 : 32 {};
};
static_assert(sizeof(InterruptGate) == 16);

/// A gate for ring 0 through which interrupts are off.
///
/// Needs    `stack`: which one of the TSS's interrupt stacks; 0: the current one.
[[nodiscard]] constexpr InterruptGate interrupt_gate(std::uint64_t handler, std::uint16_t selector,
                                                     std::uint8_t stack) {
    constexpr std::uint64_t interrupt_gate_type = 14;
    return {.offset_15_0 = handler & 0xFFFF,
            .selector = selector,
            .interrupt_stack = stack,
            .type = interrupt_gate_type,
            .present = 1,
            .offset_31_16 = handler >> 16 & 0xFFFF,
            .offset_63_32 = handler >> 32};
}

/// The 64-bit TSS; its quadwords are not aligned.  [SDM 3A 7.7 "Task Management in 64-bit Mode"]
struct [[gnu::packed]] TaskStateSegment {
    std::uint32_t reserved_0{};
    std::array<std::uint64_t, 3> rsp{};
    std::array<std::uint64_t, 8> interrupt_stacks{};  ///< entry 0 is reserved
    std::uint64_t reserved_5c{};
    std::uint16_t reserved_64{};
    std::uint16_t io_map_base{};
};
static_assert(sizeof(TaskStateSegment) == 0x68);

/// The bit of a TSS descriptor that LTR sets, and that makes another LTR fail.
/// [SDM 3A 7.2.3 "TSS Descriptor in 64-bit mode"]
inline constexpr std::uint64_t task_busy = 1ULL << 41;

/// The two GDT entries of an available TSS with limit 67h.
/// [SDM 3A 7.2.3 "TSS Descriptor in 64-bit mode"]
[[nodiscard]] constexpr std::array<std::uint64_t, 2> task_descriptor(std::uint64_t base) {
    constexpr std::uint64_t limit = sizeof(TaskStateSegment) - 1;
    constexpr std::uint64_t present_available_task = 0x89ULL << 40;
    return {limit | (base & 0xFF'FFFF) << 16 | present_available_task | (base >> 24 & 0xFF) << 56,
            base >> 32};
}

}  // namespace hvp::arch
