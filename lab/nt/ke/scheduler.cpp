// Queues, and the ways from one thread to another.
#include "lab/nt/ke/scheduler.hpp"

#include <bit>
#include <utility>

#include "hypervisor/arch/instructions.hpp"
#include "hypervisor/arch/processor_state.hpp"
#include "lab/nt/hal/apic.hpp"
#include "lab/nt/ke/ipi.hpp"
#include "lab/nt/ke/irql.hpp"
#include "lab/nt/ke/lock.hpp"
#include "lab/nt/ke/processor.hpp"
#include "lab/nt/ke/thread.hpp"

namespace hvp::lab::ke {
namespace {

extern "C" void switch_stacks(std::uint64_t* save_rsp, std::uint64_t load_rsp);  // switch.S

constinit Lock queues{};
constinit bool upwards{true};

Kthread* take_ready(Processor& here) {
    const Locked locked{queues};
    Kthread* const first = here.ready_first;
    if (first != nullptr) {
        here.ready_first = first->next_ready;
        if (here.ready_first == nullptr) {
            here.ready_last = nullptr;
        }
    }
    return first;
}

/// Interrupts are off. Returns when somebody switches back, perhaps on another processor.
void switch_to(Kthread& next) {
    Processor& here = current_processor();
    Kthread& previous = *here.kpcr.prcb.current_thread;
    previous.extended.save();
    here.kpcr.prcb.current_thread = &next;
    here.kpcr.prcb.rsp_base = next.initial_stack;
    here.task.rsp[0] = next.initial_stack;
    here.leaving = &previous;
    switch_stacks(&previous.kernel_stack, next.kernel_stack);
    arrive();
}

/// Puts the running thread into a processor's queue, behind those that wait there.
void move_current_thread(std::uint32_t target) {
    const arch::InterruptsOff interrupts_off;
    Processor& here = current_processor();
    Kthread& self = *here.kpcr.prcb.current_thread;
    self.fate = Fate::moves;
    self.target = target;
    Kthread* const next = take_ready(here);
    switch_to(next != nullptr ? *next : here.idle);
}

bool may_run_on(const Kthread& thread, std::uint32_t processor) {
    return thread.system_affinity == 0 || (thread.system_affinity >> processor & 1) != 0;
}

std::uint32_t neighbour(std::uint32_t processor) {
    const std::uint32_t count = processor_count();
    return (processor + (upwards ? 1 : count - 1)) % count;
}

}  // namespace

void choose_direction(std::uint64_t seed) {
    upwards = seed % 2 == 0;
}

void make_ready(Kthread& thread, std::uint32_t number) {
    {
        const Locked locked{queues};
        Processor& target = processor(number);
        thread.fate = Fate::stays;
        thread.ticks_here = 0;
        thread.next_ready = nullptr;
        (target.ready_last != nullptr ? target.ready_last->next_ready : target.ready_first) =
            &thread;
        target.ready_last = &thread;
    }
    wake(number);
}

void run_ready_thread_or_halt() {
    arch::cli();
    Kthread* const next = take_ready(current_processor());
    if (next == nullptr) {
        // Nothing can come between the two: STI holds interrupts back for one instruction.
        return arch::sti_and_hlt();
    }
    switch_to(*next);
    arch::sti();
}

std::uint64_t bind_current_thread(std::uint64_t mask) {
    const arch::InterruptsOff interrupts_off;
    Kthread& self = current_thread();
    const std::uint64_t before = std::exchange(self.system_affinity, mask);
    if (!may_run_on(self, current_processor_number())) {
        if (current_irql() < Irql::dispatch) {
            move_current_thread(static_cast<std::uint32_t>(std::countr_zero(mask)));
        } else {
            hal::send_interrupt_to_self(dispatch_vector);
        }
    }
    return before;
}

void end_current_thread() {
    arch::cli();
    current_thread().fate = Fate::ends;
    switch_to(current_processor().idle);
    __builtin_unreachable();
}

void arrive() {
    Processor& here = current_processor();
    here.kpcr.prcb.current_thread->extended.load();
    Kthread& left = *std::exchange(here.leaving, nullptr);
    switch (left.fate) {
        case Fate::stays:
            break;
        case Fate::moves:
            make_ready(left, left.target);
            break;
        case Fate::ends:
            __atomic_store_n(&left.ended, true, __ATOMIC_RELEASE);
            wake(left.waiter);
            break;
    }
}

void count_tick() {
    Processor& here = current_processor();
    Kthread& self = *here.kpcr.prcb.current_thread;
    constexpr std::uint32_t turn = 2;
    if (&self != &here.idle && processor_count() > 1 && self.system_affinity == 0 &&
        ++self.ticks_here >= turn) {
        hal::send_interrupt_to_self(dispatch_vector);
    }
}

void on_dispatch_interrupt() {
    hal::end_of_interrupt();
    const Processor& here = current_processor();
    const Kthread& self = *here.kpcr.prcb.current_thread;
    if (&self == &here.idle) {
        return;
    }
    if (!may_run_on(self, here.number)) {
        return move_current_thread(
            static_cast<std::uint32_t>(std::countr_zero(self.system_affinity)));
    }
    if (self.system_affinity == 0 && current_irql() == Irql::passive) {
        move_current_thread(neighbour(here.number));
    }
}

}  // namespace hvp::lab::ke
