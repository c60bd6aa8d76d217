// The ready queues, and the switch from one thread to another.
#include "lab/nt/ke/scheduler.hpp"

#include <bit>
#include <utility>

#include "hypervisor/arch/instructions.hpp"
#include "hypervisor/arch/processor_state.hpp"
#include "lab/nt/hal/apic.hpp"
#include "lab/nt/ke/dpc.hpp"
#include "lab/nt/ke/ipi.hpp"
#include "lab/nt/ke/irql.hpp"
#include "lab/nt/ke/processor.hpp"
#include "lab/nt/ke/thread.hpp"
#include "lab/nt/ke/timer.hpp"
#include "lab/nt/ke/wait.hpp"
#include "lab/nt/mm/retired_pages.hpp"
#include "lab/nt/rtl/list.hpp"

namespace hvp::lab::ke {
namespace {

extern "C" void switch_stacks(std::uint64_t* save_rsp, std::uint64_t load_rsp);  // switch.S

constexpr std::uint32_t ticks_of_a_turn = 2;

constinit bool upwards{true};

bool may_run_on(const Kthread& thread, std::uint32_t processor) {
    return thread.system_affinity == 0 || (thread.system_affinity >> processor & 1) != 0;
}

std::uint32_t neighbour(std::uint32_t processor) {
    const std::uint32_t count = processor_count();
    return (processor + (upwards ? 1 : count - 1)) % count;
}

bool is_idle(const Processor& processor) {
    return processor.kpcr.prcb.current_thread == &processor.idle &&
           processor.ready_first == nullptr;
}

/// Queues a thread that does not run, after those of its priority.
void enqueue(Kthread& thread) {
    Processor& target = processor(thread.processor);
    Kthread** place = &target.ready_first;
    while (*place != nullptr && (*place)->priority >= thread.priority) {
        place = &(*place)->next_ready;
    }
    thread.next_ready = std::exchange(*place, &thread);
    thread.ticks_here = 0;
    thread.ready = true;
    const Kthread& running = *target.kpcr.prcb.current_thread;
    if (&running == &target.idle) {
        wake(thread.processor);
    } else if (running.priority < thread.priority) {
        hal::send_interrupt(thread.processor, dispatch_vector);
    }
}

Kthread& take_ready(Processor& here) {
    const Locked locked{dispatcher_lock};
    Kthread* const first = here.ready_first;
    if (first == nullptr) {
        return here.idle;
    }
    withdraw_from_queue(*first);
    first->on_processor = true;
    return *first;
}

/// Interrupts are off. Returns when another thread switches back, perhaps on another processor.
void switch_to(Kthread& next) {
    Processor& here = current_processor();
    Kthread& previous = *here.kpcr.prcb.current_thread;
    const Irql irql = current_irql();
    previous.extended.save();
    here.kpcr.prcb.current_thread = &next;
    here.kpcr.prcb.rsp_base = next.initial_stack;
    here.task.rsp[0] = next.initial_stack;
    here.leaving = &previous;
    switch_stacks(&previous.kernel_stack, next.kernel_stack);
    arrive();
    set_irql(irql);
}

/// Puts the running thread into a processor's queue, after those of its priority.
void move_current_thread(std::uint32_t target) {
    const arch::InterruptsOff interrupts_off;
    Kthread& self = current_thread();
    self.fate = Fate::moves;
    self.processor = target;
    leave_current_thread();
}

std::uint32_t bound_target(const Kthread& thread) {
    return static_cast<std::uint32_t>(std::countr_zero(thread.system_affinity));
}

/// What a raised IRQL has deferred: ending, moving, letting others run.
void reschedule(const Processor& here) {
    Kthread& self = *here.kpcr.prcb.current_thread;
    if (&self == &here.idle) {
        return;  // it looks at its queue by itself
    }
    if (self.terminating) {
        end_current_thread();
    }
    if (!may_run_on(self, here.number)) {
        return move_current_thread(bound_target(self));
    }
    const bool turn_is_over = self.ticks_here >= ticks_of_a_turn;
    if (turn_is_over && self.system_affinity == 0 && processor_count() > 1 &&
        current_irql() == Irql::passive) {
        return move_current_thread(neighbour(here.number));
    }
    const Kthread* const next = here.ready_first;
    if (next != nullptr &&
        (next->priority > self.priority || (turn_is_over && next->priority == self.priority))) {
        move_current_thread(here.number);
    }
}

bool has_deferred_work(const Processor& here) {
    return !rtl::is_empty(here.dpcs) || (here.number == 0 && is_timer_due());
}

extern "C" void call_on_stack(void (*routine)(void*), void* context, std::uint64_t stack_end);

void do_deferred_work(void* context) {
    auto& here = *static_cast<Processor*>(context);
    if (here.number == 0) {
        expire_timers();
    }
    run_dpcs(here);
}

}  // namespace

void choose_direction(std::uint64_t seed) {
    upwards = seed % 2 == 0;
}

void make_ready(Kthread& thread) {
    thread.fate = Fate::stays;
    enqueue(thread);
}

void end_wait(Kthread& thread) {
    const std::uint32_t count = processor_count();
    for (std::uint32_t i = 0, number = thread.processor; i < count; ++i) {
        if (may_run_on(thread, number) && is_idle(processor(number))) {
            thread.processor = number;
            break;
        }
        number = neighbour(number);
    }
    if (!may_run_on(thread, thread.processor)) {
        thread.processor = bound_target(thread);
    }
    if (thread.on_processor) {
        thread.fate = Fate::moves;  // its processor is about to leave its stack, and then queues it
    } else {
        make_ready(thread);
    }
}

void withdraw_from_queue(Kthread& thread) {
    Kthread** place = &processor(thread.processor).ready_first;
    while (*place != &thread) {
        place = &(*place)->next_ready;
    }
    *place = thread.next_ready;
    thread.ready = false;
}

void run_ready_thread_or_halt() {
    arch::cli();
    Processor& here = current_processor();
    Kthread& next = take_ready(here);
    if (&next == &here.idle) {
        // Nothing can come between the two: STI holds interrupts back for one instruction.
        return arch::sti_and_hlt();
    }
    switch_to(next);
    arch::sti();
}

std::uint64_t bind_current_thread(std::uint64_t mask) {
    const arch::InterruptsOff interrupts_off;
    Kthread& self = current_thread();
    const std::uint64_t before = std::exchange(self.system_affinity, mask);
    if (!may_run_on(self, current_processor_number())) {
        if (current_irql() < Irql::dispatch) {
            move_current_thread(bound_target(self));
        } else {
            hal::send_interrupt_to_self(dispatch_vector);
        }
    }
    return before;
}

void leave_current_thread() {
    switch_to(take_ready(current_processor()));
}

void yield() {
    const arch::InterruptsOff interrupts_off;
    const Processor& here = current_processor();
    if (here.ready_first != nullptr) {
        move_current_thread(here.number);
    }
}

void end_current_thread() {
    arch::cli();
    current_thread().fate = Fate::ends;
    leave_current_thread();
    __builtin_unreachable();
}

void announce_end(Kthread& thread) {
    thread.ended = true;
    thread.header.signal_state = 1;
    release_waiters(thread.header);
}

void arrive() {
    Processor& here = current_processor();
    Kthread& self = *here.kpcr.prcb.current_thread;
    self.extended.load();
    mm::flush_retired();
    Kthread& left = *std::exchange(here.leaving, nullptr);
    // A thread that waited for this one's end may free it immediately, unless there is after_end.
    void (*after_end)(Kthread&) = nullptr;
    {
        const Locked locked{dispatcher_lock};
        self.processor = here.number;
        left.on_processor = false;
        switch (left.fate) {
            case Fate::stays:
            case Fate::waits:
                break;
            case Fate::moves:
                make_ready(left);
                break;
            case Fate::ends:
                after_end = left.after_end;
                announce_end(left);
                break;
        }
    }
    if (after_end != nullptr) {
        after_end(left);
    }
}

void count_tick() {
    mm::flush_retired();
    Processor& here = current_processor();
    Kthread& self = *here.kpcr.prcb.current_thread;
    const bool idle = &self == &here.idle;
    const bool turn_is_over = !idle && ++self.ticks_here >= ticks_of_a_turn;
    const bool may_move_on = self.system_affinity == 0 && processor_count() > 1;
    if ((turn_is_over && (may_move_on || here.ready_first != nullptr)) || has_deferred_work(here)) {
        hal::send_interrupt_to_self(dispatch_vector);
    }
}

void on_dispatch_interrupt() {
    const Irql interrupted = current_irql();
    set_irql(Irql::dispatch);
    hal::end_of_interrupt();
    Processor& here = current_processor();
    if (has_deferred_work(here)) {
        // The driver's DPCs may use XMM registers, which are still those of the interrupted code.
        here.dpc_extended.save();
        call_on_stack(do_deferred_work, &here, here.dpc_stack.end.raw());
        here.dpc_extended.load();
    }
    set_irql(interrupted);
    reschedule(here);
}

Priority set_priority(Kthread& thread, Priority priority) {
    const Locked locked{dispatcher_lock};
    const Priority before = std::exchange(thread.priority, priority);
    if (thread.ready) {
        withdraw_from_queue(thread);
        enqueue(thread);
    }
    return before;
}

}  // namespace hvp::lab::ke
