// How threads begin and end.
#include "lab/nt/ke/thread.hpp"

#include <bit>
#include <memory>

#include "hypervisor/arch/instructions.hpp"
#include "hypervisor/arch/processor_state.hpp"
#include "lab/nt/ex/pool.hpp"
#include "lab/nt/hal/apic.hpp"
#include "lab/nt/ke/bugcheck.hpp"
#include "lab/nt/ke/irql.hpp"
#include "lab/nt/ke/processor.hpp"
#include "lab/nt/ke/scheduler.hpp"
#include "lab/nt/rtl/list.hpp"

namespace hvp::lab::ke {
namespace {

extern "C" {
void thread_start();            // switch.S
extern std::byte boot_stack[];  // entry.S
extern std::byte boot_stack_end[];
}

constexpr std::uint32_t thread_tag = 0x6572'6854;  // "Thre"

constinit Kprocess system_process{};
constinit Kthread* threads{};
constinit std::uint64_t last_thread_id{};

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

void assign_stack(Kthread& thread, const mm::Stack& stack) {
    thread.stack = stack;
    thread.initial_stack = stack.end.raw();
    thread.stack_base = stack.end.raw();
    thread.stack_limit = stack.limit.raw();
    thread.process = &system_process;
}

/// The fields that every thread has before it is visible to others.
void initialise(Kthread& thread, std::string_view name) {
    thread.name = name;
    initialise(thread.header, ObjectType::thread, sizeof(Kthread), 0);
    initialise(thread.timer.header, ObjectType::notification_timer, sizeof(Ktimer), 0);
    rtl::make_empty(thread.mutexes);
    for (auto& block : thread.wait_blocks) {
        rtl::make_empty(block.entry);
    }
    constexpr std::uint64_t step = 4;  // Windows' numbers are multiples of 4
    thread.id = last_thread_id += step;
}

Kthread** place_in_list(const Kthread* thread) {
    Kthread** place = &threads;
    while (*place != thread) {
        place = &(*place)->next_thread;
    }
    return place;
}

enum class Ending : std::uint8_t { ended, must_leave_its_processor };

Ending end_now(Kthread& thread) {
    {
        const Locked locked{dispatcher_lock};
        if (thread.ended) {
            return Ending::ended;
        }
        if (thread.on_processor) {
            thread.terminating = true;
            hal::send_interrupt(thread.processor, dispatch_vector);
            return Ending::must_leave_its_processor;
        }
        if (thread.ready) {
            withdraw_from_queue(thread);
        } else {
            withdraw_from_wait(thread);
        }
        announce_end(thread);
    }
    if (thread.after_end != nullptr) {
        thread.after_end(thread);
    }
    return Ending::ended;
}

}  // namespace

extern "C" [[noreturn]] void thread_main() {
    arrive();
    set_irql(Irql::passive);
    arch::sti();
    const Kthread& self = current_thread();
    self.routine(self.context);
    exit_thread();
}

Kthread& current_thread() {
    // The thread must not move between reading the processor and reading that one's thread.
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
    assign_stack(idle, stack);
    initialise(idle, "idle");
    idle.priority = -1;
    idle.on_processor = true;
    idle.processor = here.number;
    auto& prcb = here.kpcr.prcb;
    prcb.current_thread = &idle;
    prcb.idle_thread = &idle;
    prcb.rsp_base = idle.initial_stack;
}

bool is_known_stack(mm::LinearAddress address) {
    const arch::InterruptsOff interrupts_off;
    const Processor& here = current_processor();
    if (here.kpcr.prcb.current_thread->stack.holds(address) || here.dpc_stack.holds(address) ||
        here.interrupt_stack.holds(address)) {
        return true;
    }
    constexpr std::uint64_t bytes = mm::interrupt_stack_pages * mm::page_bytes;
    for (const std::uint64_t end : here.task.interrupt_stacks) {
        if (end != 0 &&
            mm::Stack{mm::LinearAddress{end - bytes}, mm::LinearAddress{end}}.holds(address)) {
            return true;
        }
    }
    return false;
}

Kthread* create_thread(const ThreadPlan& plan) {
    static_assert(sizeof(Kthread) >= mm::page_bytes, "else pool would not align it for XSAVE");
    void* const memory = ex::allocate({.bytes = sizeof(Kthread), .tag = thread_tag});
    const auto stack = mm::create_stack(plan.stack_pages);
    if (memory == nullptr || !stack) {
        return nullptr;
    }
    auto& thread = *std::construct_at(static_cast<Kthread*>(memory));
    const Locked locked{dispatcher_lock};
    initialise(thread, plan.name);
    assign_stack(thread, *stack);
    thread.routine = plan.routine;
    thread.context = plan.context;
    thread.kernel_stack = first_frame(*stack);
    thread.processor = plan.processor;
    thread.system_affinity = plan.affinity;
    thread.before_end = plan.before_end;
    thread.after_end = plan.after_end;
    *place_in_list(nullptr) = &thread;
    return &thread;
}

void start(Kthread& thread) {
    const Locked locked{dispatcher_lock};
    make_ready(thread);
}

void exit_thread() {
    const Kthread& self = current_thread();
    if (self.before_end != nullptr) {
        self.before_end();
    }
    end_current_thread();
}

void free_thread(Kthread& thread) {
    {
        const Locked locked{dispatcher_lock};
        *place_in_list(&thread) = thread.next_thread;
    }
    mm::destroy_stack(thread.stack);
    ex::free(*ex::find_live(std::bit_cast<std::uint64_t>(&thread)), 0);
}

bool end_thread(Kthread& thread) {
    constexpr int patience = 100;
    for (int i = 0; i < patience && end_now(thread) == Ending::must_leave_its_processor; ++i) {
        constexpr std::int64_t one_millisecond = -10'000;
        (void)wait(nullptr, &one_millisecond);
    }
    return thread.ended;
}

Kthread* first_thread() {
    return threads;
}

std::uint64_t run_on_thread(const ThreadPlan& plan) {
    Kthread* const thread = create_thread(plan);
    if (thread == nullptr) {
        bug_check(
            {.code = BugCheckCode::manually_initiated_crash, .detail = "no memory for a thread"});
    }
    start(*thread);
    (void)wait(&thread->header, nullptr);
    const std::uint64_t used = mm::deepest_use(thread->stack);
    free_thread(*thread);
    return used;
}

}  // namespace hvp::lab::ke
