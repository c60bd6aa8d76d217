// Windows' descriptor tables, bit for bit where a driver can see them.
#include "lab/nt/ke/descriptors.hpp"

#include <bit>
#include <utility>

#include "hypervisor/arch/instructions.hpp"

namespace hvp::lab::ke {
namespace {

constexpr std::size_t stub_bytes = 16;
extern "C" const std::byte trap_stubs[256 * stub_bytes];  // traps.S

constexpr std::uint8_t breakpoint = 0x03;
constexpr std::uint8_t overflow = 0x04;
constexpr std::uint8_t fast_fail = 0x29;
constexpr std::uint8_t assertion = 0x2C;
constexpr std::uint8_t debug_service = 0x2D;

constexpr InterruptStack stack_for(std::size_t vector) {
    switch (vector) {
        case 2:
            return InterruptStack::nmi;
        case 8:
            return InterruptStack::double_fault;
        case 18:
            return InterruptStack::machine_check;
        default:
            return InterruptStack::none;
    }
}

/// Vectors that user code may raise with INT.
constexpr bool is_for_users(std::size_t vector) {
    return vector == breakpoint || vector == overflow || vector == fast_fail ||
           vector == assertion || vector == debug_service;
}

}  // namespace

void fill(Gdt& gdt, const arch::TaskStateSegment& task) {
    const auto task_slots = arch::task_descriptor(std::bit_cast<std::uint64_t>(&task));
    gdt = {
        0,
        0,
        0x0020'9B00'0000'0000,  // 10h kernel code: 64 bits, base and limit 0
        0x0040'9300'0000'0000,  // 18h kernel data: limit 0
        0x00CF'FB00'0000'FFFF,  // 20h 32-bit user code
        0x00CF'F300'0000'FFFF,  // 28h user data
        0x0020'FB00'0000'0000,  // 30h 64-bit user code
        0,
        task_slots[0],  // 40h, two slots
        task_slots[1],
        0x0040'F300'0000'3C00,  // 50h: the limit holds the processor's number; this is number 0
    };
}

void fill(Idt& idt) {
    for (std::size_t vector = 0; vector < idt.size(); ++vector) {
        idt[vector] =
            arch::interrupt_gate(std::bit_cast<std::uint64_t>(&trap_stubs[vector * stub_bytes]),
                                 selector::kernel_code, std::to_underlying(stack_for(vector)));
        idt[vector].privilege_level = is_for_users(vector) ? 3U : 0U;
    }
}

void load(const Gdt& gdt, const Idt& idt) {
    arch::lgdt({.limit_bytes = sizeof gdt - 1, .base = std::bit_cast<std::uint64_t>(&gdt)});
    arch::reload_cs(selector::kernel_code);
    arch::write_ss(selector::kernel_data);
    arch::write_ds(selector::user_data);
    arch::write_es(selector::user_data);
    arch::write_fs(selector::user_teb);
    arch::write_gs(selector::user_data);
    arch::lldt(0);
    arch::ltr(selector::task);
    arch::lidt({.limit_bytes = sizeof idt - 1, .base = std::bit_cast<std::uint64_t>(&idt)});
}

}  // namespace hvp::lab::ke
