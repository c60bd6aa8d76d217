// Local APIC registers, memory-mapped in uncacheable memory.
// [SDM 3A 10.4.1 "The Local APIC Block Diagram", Table 10-1]
#include "lab/nt/hal/apic.hpp"

#include <bit>

#include "hypervisor/arch/instructions.hpp"
#include "lab/nt/mm/page_tables.hpp"

namespace hvp::lab::hal {
namespace {

enum class Register : std::uint64_t {
    id = 0x20,
    end_of_interrupt = 0xB0,
    spurious_vector = 0xF0,
    timer = 0x320,
    line_0 = 0x350,
    line_1 = 0x360,
    initial_count = 0x380,
    divide = 0x3E0,
};

volatile std::uint32_t& at(Register which) {
    return *std::bit_cast<volatile std::uint32_t*>(mm::local_apic.raw() +
                                                   static_cast<std::uint64_t>(which));
}

constexpr std::uint32_t masked = 1U << 16;

}  // namespace

void initialise_apic() {
    const std::uint64_t base = arch::rdmsr(arch::Msr::apic_base) & 0xFF'FFFF'F000;
    (void)mm::map(mm::local_apic, mm::PhysicalAddress{base},
                  {.writable = true, .caching = mm::Caching::uncached});
    constexpr std::uint32_t software_enable = 1U << 8;
    constexpr std::uint32_t spurious = 0xFF;
    at(Register::line_0) = masked;
    at(Register::line_1) = masked;
    at(Register::timer) = masked;
    at(Register::spurious_vector) = software_enable | spurious;
}

void start_clock(std::uint8_t vector, std::uint32_t ticks) {
    constexpr std::uint32_t divide_by_1 = 0b1011;
    constexpr std::uint32_t periodic = 1U << 17;
    at(Register::divide) = divide_by_1;
    at(Register::timer) = periodic | vector;
    at(Register::initial_count) = ticks;
}

void end_of_interrupt() {
    at(Register::end_of_interrupt) = 0;
}

std::uint32_t apic_id() {
    return at(Register::id) >> 24;
}

}  // namespace hvp::lab::hal
