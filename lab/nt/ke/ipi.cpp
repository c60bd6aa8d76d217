// Each processor has one pending request at most. A lock serialises the requesters, which ask one
// other processor or all of them.
#include "lab/nt/ke/ipi.hpp"

#include "hypervisor/arch/instructions.hpp"
#include "hypervisor/arch/processor_state.hpp"
#include "lab/nt/hal/apic.hpp"
#include "lab/nt/ke/irql.hpp"
#include "lab/nt/ke/lock.hpp"
#include "lab/nt/ke/processor.hpp"
#include "lab/nt/mm/tlb.hpp"
#include "lab/nt/rtl/scrambled.hpp"

namespace hvp::lab::ke {
namespace {

constinit Lock requests{};
constinit bool frozen{};
constinit std::uint64_t order{};

extern "C" void call_on_stack(void (*routine)(void*), void* context,
                              std::uint64_t stack_end);  // switch.S

struct Pages {
    mm::LinearAddress first{0};
    std::uint64_t count{};
};

void invalidate(void* context) {
    const auto& pages = *static_cast<const Pages*>(context);
    mm::invalidate(pages.first, pages.count);
}

void ask(std::uint32_t number, void (*routine)(void*), void* context) {
    auto& request = processor(number).request;
    request.routine = routine;
    request.context = context;
    request.finished = false;
    __atomic_store_n(&request.waiting, true, __ATOMIC_RELEASE);
    hal::send_interrupt(number, ipi_vector);
}

void await(std::uint32_t number) {
    while (!__atomic_load_n(&processor(number).request.finished, __ATOMIC_ACQUIRE)) {
        arch::pause();
    }
}

template <typename Action>
void for_all_others(Action action) {
    const std::uint32_t self = current_processor_number();
    for (std::uint32_t number = 0; number < processor_count(); ++number) {
        if (number != self) {
            action(number);
        }
    }
}

void ask_all_others(void (*routine)(void*), void* context) {
    for_all_others([=](std::uint32_t number) { ask(number, routine, context); });
}

void await_all_others() {
    for_all_others(await);
}

/// Processors that begin a routine at the same time.
struct Rendezvous {
    void (*routine)(void*){};
    void* context{};
    std::uint32_t expected{};
    std::uint32_t present{};
};

void wait_for_all(Rendezvous& rendezvous) {
    __atomic_add_fetch(&rendezvous.present, 1, __ATOMIC_ACQ_REL);
    while (__atomic_load_n(&rendezvous.present, __ATOMIC_ACQUIRE) != rendezvous.expected) {
        arch::pause();
    }
    stagger();
}

void run_at_rendezvous(void* context) {
    auto& rendezvous = *static_cast<Rendezvous*>(context);
    Processor& here = current_processor();
    const Irql irql = current_irql();
    set_irql(Irql::ipi);
    here.interrupt_extended.save();
    wait_for_all(rendezvous);
    call_on_stack(rendezvous.routine, rendezvous.context, here.interrupt_stack.end.raw());
    here.interrupt_extended.load();
    set_irql(irql);
}

}  // namespace

void run_on_processor(std::uint32_t number, void (*routine)(void*), void* context) {
    const arch::InterruptsOff interrupts_off;
    if (number == current_processor_number()) {
        return routine(context);
    }
    const Locked one_at_a_time{requests};
    ask(number, routine, context);
    await(number);
}

void run_on_every_processor(void (*routine)(void*), void* context) {
    const arch::InterruptsOff interrupts_off;
    routine(context);
    for_all_others([=](std::uint32_t number) { run_on_processor(number, routine, context); });
}

void run_everywhere_in_parallel(void (*routine)(void*), void* context) {
    const arch::InterruptsOff interrupts_off;
    const Locked one_at_a_time{requests};
    ask_all_others(routine, context);
    routine(context);
    await_all_others();
}

void run_on_all_at_once(void (*routine)(void*), void* context) {
    const arch::InterruptsOff interrupts_off;
    const Locked one_at_a_time{requests};
    Rendezvous rendezvous{.routine = routine, .context = context, .expected = processor_count()};
    ask_all_others(run_at_rendezvous, &rendezvous);
    wait_for_all(rendezvous);
    routine(context);
    await_all_others();
}

void choose_order(std::uint64_t seed) {
    order = seed;
}

void stagger() {
    const std::uint64_t call = __atomic_add_fetch(&order, 1, __ATOMIC_RELAXED);
    constexpr std::uint64_t most_turns = 64;
    const std::uint64_t turns = rtl::scrambled(call + current_processor_number()) % most_turns;
    for (std::uint64_t i = 0; i < turns; ++i) {
        arch::pause();
    }
}

void flush_tlbs(mm::LinearAddress first, std::uint64_t pages) {
    Pages range{.first = first, .count = pages};
    run_everywhere_in_parallel(invalidate, &range);
}

void serve_requests() {
    auto& request = current_processor().request;
    // Cleared first: the routine may wait for a lock, which calls this function again.
    if (__atomic_exchange_n(&request.waiting, false, __ATOMIC_ACQ_REL)) {
        request.routine(request.context);
        __atomic_store_n(&request.finished, true, __ATOMIC_RELEASE);
    }
}

void wake(std::uint32_t number) {
    if (number != current_processor_number()) {
        hal::send_interrupt(number, ipi_vector);
    }
}

void on_ipi() {
    const Irql interrupted = current_irql();
    set_irql(Irql::ipi);
    serve_requests();
    hal::end_of_interrupt();
    set_irql(interrupted);
}

void freeze_others() {
    if (processor_count() > 1) {
        __atomic_store_n(&frozen, true, __ATOMIC_RELEASE);
        hal::send_nmi_to_all_others();
    }
}

void freeze() {
    for (;;) {
        arch::cli();
        arch::hlt();
    }
}

bool is_frozen() {
    return __atomic_load_n(&frozen, __ATOMIC_ACQUIRE);
}

}  // namespace hvp::lab::ke
