// Each processor has room for one request; a lock lets one processor at a time ask.
#include "lab/nt/ke/ipi.hpp"

#include "hypervisor/arch/instructions.hpp"
#include "hypervisor/arch/processor_state.hpp"
#include "lab/nt/hal/apic.hpp"
#include "lab/nt/ke/irql.hpp"
#include "lab/nt/ke/lock.hpp"
#include "lab/nt/ke/processor.hpp"

namespace hvp::lab::ke {
namespace {

constinit Lock requests{};
constinit bool frozen{};

struct Pages {
    mm::LinearAddress first{0};
    std::uint64_t count{};
};

void forget(void* context) {
    const auto& pages = *static_cast<const Pages*>(context);
    for (std::uint64_t i = 0; i < pages.count; ++i) {
        arch::invlpg(pages.first + i * mm::page_bytes);
    }
}

}  // namespace

void run_on_processor(std::uint32_t number, void (*routine)(void*), void* context) {
    const arch::InterruptsOff interrupts_off;
    if (number == current_processor_number()) {
        return routine(context);
    }
    const Locked one_at_a_time{requests};
    auto& request = processor(number).request;
    request.routine = routine;
    request.context = context;
    __atomic_store_n(&request.waiting, true, __ATOMIC_RELEASE);
    hal::send_interrupt(number, ipi_vector);
    while (__atomic_load_n(&request.waiting, __ATOMIC_ACQUIRE)) {
        serve_requests();
        arch::pause();
    }
}

void run_on_every_processor(void (*routine)(void*), void* context) {
    const arch::InterruptsOff interrupts_off;
    const std::uint32_t self = current_processor_number();
    routine(context);
    for (std::uint32_t number = 0; number < processor_count(); ++number) {
        if (number != self) {
            run_on_processor(number, routine, context);
        }
    }
}

void forget_translations(mm::LinearAddress first, std::uint64_t pages) {
    Pages range{.first = first, .count = pages};
    run_on_every_processor(forget, &range);
}

void serve_requests() {
    auto& request = current_processor().request;
    if (__atomic_load_n(&request.waiting, __ATOMIC_ACQUIRE)) {
        request.routine(request.context);
        __atomic_store_n(&request.waiting, false, __ATOMIC_RELEASE);
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

void stand_still() {
    for (;;) {
        arch::cli();
        arch::hlt();
    }
}

bool is_frozen() {
    return __atomic_load_n(&frozen, __ATOMIC_ACQUIRE);
}

}  // namespace hvp::lab::ke
