// Local APIC registers, memory-mapped in uncacheable memory.
// [SDM 3A 10.4.1 "The Local APIC Block Diagram", Table 10-1]
#include "lab/nt/hal/apic.hpp"

#include <bit>

#include "hypervisor/arch/instructions.hpp"
#include "hypervisor/arch/processor_state.hpp"
#include "lab/nt/mm/page_tables.hpp"

namespace hvp::lab::hal {
namespace {

enum class Register : std::uint64_t {
    end_of_interrupt = 0xB0,
    spurious_vector = 0xF0,
    in_service = 0x100,
    command_low = 0x300,
    command_high = 0x310,
    timer = 0x320,
    line_0 = 0x350,
    line_1 = 0x360,
    initial_count = 0x380,
    divide = 0x3E0,
};

/// `number`: of several registers in a row.
volatile std::uint32_t& at(Register which, std::uint32_t number = 0) {
    constexpr std::uint64_t bytes_apart = 0x10;
    return *std::bit_cast<volatile std::uint32_t*>(
        mm::local_apic.raw() + static_cast<std::uint64_t>(which) + number * bytes_apart);
}

constexpr std::uint32_t masked = 1U << 16;

/// What an interrupt command delivers, and its destination.
/// [SDM 3A 10.6.1 "Interrupt Command Register (ICR)", Figure 10-12]
enum class Delivery : std::uint32_t { fixed = 0, nmi = 4, init = 5, startup = 6 };
enum class Shorthand : std::uint32_t { none = 0, self = 1, all_others = 3 };

/// Writing the low half sends the IPI; a driver's own command must not come between the halves.
void send(Delivery delivery, Shorthand shorthand, std::uint32_t apic_id, std::uint8_t vector) {
    const arch::InterruptsOff interrupts_off;
    constexpr std::uint32_t send_pending = 1U << 12;
    constexpr std::uint32_t assert_level = 1U << 14;
    while ((at(Register::command_low) & send_pending) != 0) {
        arch::pause();
    }
    if (shorthand == Shorthand::none) {
        at(Register::command_high) = apic_id << 24;
    }
    at(Register::command_low) = static_cast<std::uint32_t>(shorthand) << 18 | assert_level |
                                static_cast<std::uint32_t>(delivery) << 8 | vector;
}

}  // namespace

std::uint32_t interrupts_in_service(std::uint32_t number) {
    return at(Register::in_service, number);
}

void map_apic() {
    const std::uint64_t base = arch::rdmsr(arch::Msr::apic_base) & 0xFF'FFFF'F000;
    (void)mm::map(mm::local_apic, mm::PhysicalAddress{base},
                  {.writable = true, .caching = mm::Caching::uncached});
    apic_is_mapped = true;
}

void initialise_apic() {
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

void send_interrupt(std::uint32_t apic_id, std::uint8_t vector) {
    send(Delivery::fixed, Shorthand::none, apic_id, vector);
}

void send_interrupt_to_self(std::uint8_t vector) {
    send(Delivery::fixed, Shorthand::self, 0, vector);
}

void send_init(std::uint32_t apic_id) {
    send(Delivery::init, Shorthand::none, apic_id, 0);
}

void send_startup(std::uint32_t apic_id, std::uint64_t page) {
    send(Delivery::startup, Shorthand::none, apic_id,
         static_cast<std::uint8_t>(page / mm::page_bytes));
}

void send_nmi_to_all_others() {
    send(Delivery::nmi, Shorthand::all_others, 0, 0);
}

}  // namespace hvp::lab::hal
