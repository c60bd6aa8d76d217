// One thread at a time: the idle thread starts a system thread and goes on when that one is done.
#include "lab/nt/ke/thread.hpp"

#include <bit>

#include "hypervisor/arch/instructions.hpp"
#include "lab/nt/ke/bugcheck.hpp"
#include "lab/nt/ke/irql.hpp"
#include "lab/nt/ke/processor.hpp"

namespace hvp::lab::ke {
namespace {

extern "C" {
void switch_stacks(std::uint64_t* save_rsp, std::uint64_t load_rsp);  // switch.S
void thread_start();                                                  // switch.S
extern std::byte boot_stack[];                                        // entry.S
extern std::byte boot_stack_end[];
}

constinit Kprocess system_process{};
constinit Kthread idle_thread{};
constinit Kthread system_thread{};

void switch_to(Kthread& next) {
    Kthread& previous = current_thread();
    Processor& processor = current_processor();
    const bool interrupts = arch::read_rflags().has(arch::Rflags::interrupt_enable);
    arch::cli();
    processor.kpcr.prcb.current_thread = &next;
    processor.kpcr.prcb.rsp_base = next.initial_stack;
    processor.task.rsp[0] = next.initial_stack;
    switch_stacks(&previous.kernel_stack, next.kernel_stack);
    if (interrupts) {
        arch::sti();
    }
}

/// Everything on the new stack that switch_stacks expects to find; see there.
std::uint64_t first_frame(const mm::Stack& stack) {
    constexpr std::uint64_t saved_registers = 8;
    constexpr std::uint64_t saved_xmm_bytes = 10 * 16 + 8;
    auto* top = std::bit_cast<std::uint64_t*>(stack.end.raw());
    *--top = 0;  // thread_start's own return address: the end of every stack walk
    *--top = std::bit_cast<std::uint64_t>(&thread_start);
    for (std::uint64_t i = 0; i < saved_registers; ++i) {
        *--top = 0;
    }
    return std::bit_cast<std::uint64_t>(top) - saved_xmm_bytes;
}

}  // namespace

extern "C" [[noreturn]] void thread_main() {
    arch::sti();
    const Kthread& self = current_thread();
    self.routine(self.context);
    switch_to(idle_thread);
    bug_check({.code = BugCheckCode::manually_initiated_crash,
               .detail = "a thread that had ended was started again"});
}

Kthread& current_thread() {
    return *current_processor().kpcr.prcb.current_thread;
}

void adopt_idle_thread() {
    system_process.directory_table_base = arch::read_cr3();
    idle_thread.stack = {.limit = arch::linear_address_of(boot_stack),
                         .end = arch::linear_address_of(boot_stack_end)};
    idle_thread.name = "idle";
    idle_thread.process = &system_process;
    idle_thread.initial_stack = idle_thread.stack.end.raw();
    idle_thread.stack_base = idle_thread.stack.end.raw();
    idle_thread.stack_limit = idle_thread.stack.limit.raw();
    auto& prcb = current_processor().kpcr.prcb;
    prcb.current_thread = &idle_thread;
    prcb.idle_thread = &idle_thread;
    prcb.rsp_base = idle_thread.initial_stack;
}

std::uint64_t run_on_thread(std::string_view name, void (*routine)(void*), void* context) {
    const auto stack = mm::create_stack(mm::thread_stack_pages);
    if (!stack) {
        bug_check({.code = BugCheckCode::manually_initiated_crash,
                   .detail = "no memory for a thread's stack"});
    }
    system_thread = {};
    system_thread.stack = *stack;
    system_thread.initial_stack = stack->end.raw();
    system_thread.stack_base = stack->end.raw();
    system_thread.stack_limit = stack->limit.raw();
    system_thread.process = &system_process;
    system_thread.name = name;
    system_thread.routine = routine;
    system_thread.context = context;
    system_thread.kernel_stack = first_frame(*stack);
    switch_to(system_thread);
    const std::uint64_t used = mm::deepest_use(*stack);
    mm::destroy_stack(*stack);
    return used;
}

}  // namespace hvp::lab::ke
