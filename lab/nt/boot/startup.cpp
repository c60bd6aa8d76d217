// INIT, start-up, start-up: the protocol that starts a processor.
#include "lab/nt/boot/startup.hpp"

#include <bit>
#include <cstddef>

#include "hypervisor/arch/instructions.hpp"
#include "lab/nt/hal/apic.hpp"
#include "lab/nt/hal/shutdown.hpp"
#include "lab/nt/ke/clock.hpp"
#include "lab/nt/ke/processor.hpp"
#include "lab/nt/ke/scheduler.hpp"
#include "lab/nt/ke/thread.hpp"
#include "lab/nt/mm/stacks.hpp"

namespace hvp::lab {
namespace {

/// A page below 1 MiB, after the firmware's page tables, that has no other use.
constexpr std::uint64_t startup_address = 0x9000;

extern "C" {
extern const std::byte startup_begin[];  // startup.S
extern const std::byte startup_end[];
extern const std::byte startup_page_tables[];

/// What processor_entry in startup.S reads, at these offsets.
struct StartupBlock {
    std::uint64_t efer;
    std::uint64_t page_tables;
    std::uint64_t stack_end;
};
static_assert(offsetof(StartupBlock, stack_end) == 16);
constinit StartupBlock startup_block{};
}

}  // namespace

/// The first C++ that a started processor runs, on what will be its idle thread's stack.
extern "C" [[noreturn]] void processor_main() {
    const std::uint32_t number = ke::current_processor_number();
    ke::initialise_processor(number);
    ke::adopt_idle_thread({.limit = mm::LinearAddress{startup_block.stack_end -
                                                      mm::thread_stack_pages * mm::page_bytes},
                           .end = mm::LinearAddress{startup_block.stack_end}});
    hal::initialise_apic();
    ke::start_clock_interrupt();
    ke::announce_processor();
    for (;;) {
        ke::run_ready_thread_or_halt();
    }
}

void place_startup_code() {
    auto* page = std::bit_cast<std::byte*>(startup_address);
    __builtin_memcpy(page, &startup_begin[0],
                     static_cast<std::size_t>(&startup_end[0] - &startup_begin[0]));
    const auto tables = static_cast<std::uint32_t>(arch::read_cr3());
    __builtin_memcpy(page + (&startup_page_tables[0] - &startup_begin[0]), &tables, sizeof tables);
}

void start_other_processors(const BootBlock& boot) {
    for (std::uint32_t number = 1; number < boot.processors; ++number) {
        const auto stack = mm::create_stack(mm::thread_stack_pages);
        if (!stack || !ke::create_processor(number)) {
            hal::shut_down();  // the tool sees a run without LabStarted
        }
        startup_block = {.efer = arch::rdmsr(arch::Msr::efer),
                         .page_tables = arch::read_cr3() & ~(mm::page_bytes - 1),
                         .stack_end = stack->end.raw()};
        // A real processor wants 10 ms after INIT and 200 µs after each start-up IPI; the emulated
        // one is ready at once.  [SDM 3A 8.4.4.1 "Typical BSP Initialization Sequence"]
        hal::send_init(number);
        hal::send_startup(number, startup_address);
        hal::send_startup(number, startup_address);
        while (ke::processor_count() <= number) {
            arch::pause();
        }
    }
}

}  // namespace hvp::lab
