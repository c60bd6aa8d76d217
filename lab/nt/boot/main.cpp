// The kernel's life from top to bottom.
#include "hypervisor/arch/instructions.hpp"
#include "lab/boot/boot_block.hpp"
#include "lab/nt/boot/startup.hpp"
#include "lab/nt/dbg/event.hpp"
#include "lab/nt/examiner/rules.hpp"
#include "lab/nt/examiner/verdict.hpp"
#include "lab/nt/hal/apic.hpp"
#include "lab/nt/hal/shutdown.hpp"
#include "lab/nt/io/driver_life.hpp"
#include "lab/nt/ke/clock.hpp"
#include "lab/nt/ke/ipi.hpp"
#include "lab/nt/ke/processor.hpp"
#include "lab/nt/ke/scheduler.hpp"
#include "lab/nt/ke/thread.hpp"
#include "lab/nt/mm/frames.hpp"
#include "lab/nt/mm/kernel_map.hpp"
#include "lab/nt/ps/process.hpp"

namespace hvp::lab {
namespace {

// The page that the tool filled is no longer mapped once the one-to-one map has been left: this is
// the kernel's copy.
constinit BootBlock boot{};

/// SYSCALL and NX, before page tables with NX in them are used.
void enable_execute_disable() {
    constexpr std::uint64_t syscall_enable = 1 << 0;
    constexpr std::uint64_t no_execute_enable = 1 << 11;
    const auto& can = ke::features();
    arch::wrmsr(arch::Msr::efer, arch::rdmsr(arch::Msr::efer) | syscall_enable |
                                     (can.execute_disable ? no_execute_enable : 0));
}

void start_kernel() {
    ke::detect_features();
    enable_execute_disable();
    mm::initialise_frames(boot.memory_bytes, mm::PhysicalAddress{boot.image_end}, boot.seed);
    place_startup_code();
    mm::enter_kernel_map(boot, ke::features().execute_disable);
    hal::map_apic();
    ke::initialise_processor(0);
    ke::adopt_idle_thread(ke::first_stack());
    hal::initialise_apic();
    ke::start_time(boot.timeout_ticks);
    ke::start_clock_interrupt();
    ke::choose_direction(boot.seed);
    ke::choose_order(boot.seed);
    ps::announce_system_process();
    start_other_processors(boot);
    arch::sti();
}

/// The kernel's own thread. It stays on processor 0, and waits while the driver's threads run.
[[noreturn]] void do_what_was_asked(void* /*unused*/) {
    dbg::Event{"LabStarted"}
        .number("memory_mib", boot.memory_bytes >> 20)
        .number("processors", boot.processors)
        .number("started", ke::processor_count());
    examiner::order_allocation_failure(boot.fail_allocation);
    if (boot.driver_physical != 0) {
        io::run_driver(boot);
    }
    examiner::verdict().report_summary(examiner::verdict().result());
    hal::shut_down();
}

}  // namespace

extern "C" [[noreturn]] void kernel_main(const BootBlock* given) {
    boot = *given;
    start_kernel();
    constexpr std::uint64_t stack_pages = 8;
    ke::Kthread* const own = ke::create_thread(
        {.name = "lab", .routine = do_what_was_asked, .affinity = 1, .stack_pages = stack_pages});
    if (own == nullptr) {
        hal::shut_down();  // the tool sees a run without LabStarted
    }
    ke::start(*own);
    for (;;) {
        ke::run_ready_thread_or_halt();
    }
}

}  // namespace hvp::lab
