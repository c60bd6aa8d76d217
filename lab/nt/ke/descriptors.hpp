// GDT and IDT with Windows' content.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "hypervisor/arch/descriptor_tables.hpp"

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

inline constexpr std::size_t gdt_slots = 11;
using Gdt = std::array<std::uint64_t, gdt_slots>;
using Idt = std::array<arch::InterruptGate, 256>;

/// Fills the GDT. The slot of the TSS is "available"; LTR makes it busy.
void fill(Gdt& gdt, const arch::TaskStateSegment& task);

/// Fills the IDT with the kernel's 256 entry stubs.
void fill(Idt& idt);

/// Loads GDTR, IDTR, TR, LDTR and all selectors. The bases of FS and GS are zero afterwards.
void load(const Gdt& gdt, const Idt& idt);

}  // namespace hvp::lab::ke
