// The tables that the processor reads by itself: GDT, IDT, TSS, with Windows' content.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace hvp::lab::ke {

/// Windows' selectors.  [Windows: public symbols, KGDT64_*]
namespace selector {
inline constexpr std::uint16_t kernel_code = 0x10;
inline constexpr std::uint16_t kernel_data = 0x18;
inline constexpr std::uint16_t user_data = 0x2B;
inline constexpr std::uint16_t task = 0x40;
inline constexpr std::uint16_t user_teb = 0x53;
}  // namespace selector

/// Which of the stacks in the TSS a gate uses; 0: the current one.
/// [SDM 3A 6.14.5 "Interrupt Stack Table"]
enum class InterruptStack : std::uint8_t { none = 0, double_fault = 1, machine_check = 2, nmi = 3 };

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

inline constexpr std::size_t gdt_slots = 11;
using Gdt = std::array<std::uint64_t, gdt_slots>;
using Idt = std::array<InterruptGate, 256>;

/// Fills the GDT. The slot of the TSS is "available"; LTR makes it busy.
void fill(Gdt& gdt, const TaskStateSegment& task);

/// Fills the IDT with the kernel's 256 entry stubs.
void fill(Idt& idt);

/// Loads GDTR, IDTR, TR, LDTR and all selectors. The bases of FS and GS are zero afterwards.
void load(const Gdt& gdt, const Idt& idt);

}  // namespace hvp::lab::ke
