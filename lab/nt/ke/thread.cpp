// How threads begin and end.
#include "lab/nt/ke/thread.hpp"

#include <bit>

#include "hypervisor/arch/instructions.hpp"
#include "hypervisor/arch/processor_state.hpp"
#include "lab/nt/ke/bugcheck.hpp"
#include "lab/nt/ke/processor.hpp"
#include "lab/nt/ke/scheduler.hpp"

namespace hvp::lab::ke {
namespace {

extern "C" {
void thread_start();            // switch.S
extern std::byte boot_stack[];  // entry.S
extern std::byte boot_stack_end[];
}

constinit Kprocess system_process{};
constinit Kthread system_thread{};

/// Everything on the new stack that switch_stacks expects to find; see there.
std::uint64_t first_frame(const mm::Stack& stack) {
    constexpr std::uint64_t saved_registers = 8;
    auto* top = std::bit_cast<std::uint64_t*>(stack.end.raw());
    *--top = 0;  // thread_start's own return address: the end of every stack walk
    *--top = std::bit_cast<std::uint64_t>(&thread_start);
    for (std::uint64_t i = 0; i < saved_registers; ++i) {
        *--top = 0;
    }
    return std::bit_cast<std::uint64_t>(top);
}

void give_stack(Kthread& thread, const mm::Stack& stack) {
    thread.stack = stack;
    thread.initial_stack = stack.end.raw();
    thread.stack_base = stack.end.raw();
    thread.stack_limit = stack.limit.raw();
    thread.process = &system_process;
}

}  // namespace

extern "C" [[noreturn]] void thread_main() {
    arrive();
    arch::sti();
    const Kthread& self = current_thread();
    self.routine(self.context);
    end_current_thread();
}

Kthread& current_thread() {
    // Between the two questions, which processor and which thread, the thread must not move.
    const arch::InterruptsOff interrupts_off;
    return *current_processor().kpcr.prcb.current_thread;
}

mm::Stack first_stack() {
    return {.limit = arch::linear_address_of(boot_stack),
            .end = arch::linear_address_of(boot_stack_end)};
}

void adopt_idle_thread(const mm::Stack& stack) {
    system_process.directory_table_base = arch::read_cr3();
    Processor& here = current_processor();
    Kthread& idle = here.idle;
    idle = {};
    give_stack(idle, stack);
    idle.name = "idle";
    auto& prcb = here.kpcr.prcb;
    prcb.current_thread = &idle;
    prcb.idle_thread = &idle;
    prcb.rsp_base = idle.initial_stack;
}

bool is_known_stack(mm::LinearAddress address) {
    const arch::InterruptsOff interrupts_off;
    if (current_thread().stack.holds(address)) {
        return true;
    }
    constexpr std::uint64_t bytes = mm::interrupt_stack_pages * mm::page_bytes;
    for (const std::uint64_t end : current_processor().task.interrupt_stacks) {
        if (end != 0 &&
            mm::Stack{mm::LinearAddress{end - bytes}, mm::LinearAddress{end}}.holds(address)) {
            return true;
        }
    }
    return false;
}

std::uint64_t run_on_thread(std::string_view name, void (*routine)(void*), void* context,
                            std::uint32_t processor) {
    const auto stack = mm::create_stack(mm::thread_stack_pages);
    if (!stack) {
        bug_check({.code = BugCheckCode::manually_initiated_crash,
                   .detail = "no memory for a thread's stack"});
    }
    system_thread = {};
    give_stack(system_thread, *stack);
    system_thread.name = name;
    system_thread.routine = routine;
    system_thread.context = context;
    system_thread.kernel_stack = first_frame(*stack);
    system_thread.waiter = current_processor_number();
    make_ready(system_thread, processor);
    while (!__atomic_load_n(&system_thread.ended, __ATOMIC_ACQUIRE)) {
        run_ready_thread_or_halt();
    }
    const std::uint64_t used = mm::deepest_use(*stack);
    mm::destroy_stack(*stack);
    return used;
}

}  // namespace hvp::lab::ke
