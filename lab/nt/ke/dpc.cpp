// The DPC queues, and when a processor is interrupted to empty its queue.
#include "lab/nt/ke/dpc.hpp"

#include <bit>

#include "hypervisor/arch/instructions.hpp"
#include "lab/nt/examiner/rules.hpp"
#include "lab/nt/hal/apic.hpp"
#include "lab/nt/ke/processor.hpp"
#include "lab/nt/ke/scheduler.hpp"
#include "lab/nt/ke/wait.hpp"
#include "lab/nt/rtl/list.hpp"

namespace hvp::lab::ke {
namespace {

Kdpc& dpc_of(rtl::ListEntry& entry) {
    return rtl::holder_of<Kdpc, offsetof(Kdpc, entry)>(entry);
}

/// Whether the processor is interrupted for it. Otherwise the DPC runs with the next one that is,
/// or at the next clock interrupt.
/// [Windows: Organization of DPC Queues]
bool is_urgent(const Kdpc& dpc, bool here) {
    switch (dpc.importance) {
        case DpcImportance::low:
            return false;
        case DpcImportance::medium:
            return here;
        case DpcImportance::medium_high:
        case DpcImportance::high:
            return true;
    }
    return true;
}

/// Moves the first one from the queue into `call`: while its routine runs, the KDPC may be queued
/// again, or be freed.
bool take_first(Processor& here, Kdpc*& dpc, Kdpc& call) {
    // A processor that queues one after this check also sends an interrupt, or leaves it to the
    // next clock interrupt.
    if (__atomic_load_n(&here.dpcs.next, __ATOMIC_ACQUIRE) == &here.dpcs) {
        return false;
    }
    const Locked locked{dispatcher_lock};
    dpc = first_dpc(here);
    if (dpc == nullptr) {
        return false;
    }
    rtl::remove(dpc->entry);
    dpc->queue = nullptr;
    call = *dpc;
    return true;
}

void check_irql_after(const Kdpc& call) {
    if (current_irql() == Irql::dispatch) {
        return;
    }
    rtl::Sentence detail{"the DPC routine at "};
    detail.hex(std::bit_cast<std::uint64_t>(call.routine)).put(" returned at IRQL ");
    detail.decimal(static_cast<std::uint64_t>(current_irql())).put(", not at DISPATCH_LEVEL");
    examiner::report_finding("IrqlAfterDpc", detail, examiner::no_verifier_code,
                             std::bit_cast<std::uint64_t>(call.routine));
    set_irql(Irql::dispatch);
}

bool is_queue_empty(std::uint32_t number) {
    const Locked locked{dispatcher_lock};
    return first_dpc(processor(number)) == nullptr;
}

}  // namespace

void initialise_dpcs(Processor& processor) {
    rtl::make_empty(processor.dpcs);
}

bool queue_dpc(Kdpc& dpc, void* argument_1, void* argument_2) {
    const Locked locked{dispatcher_lock};
    if (dpc.queue != nullptr) {
        return false;
    }
    const std::uint32_t self = current_processor_number();
    const std::uint32_t number = dpc.target != 0 ? dpc.target - 1U : self;
    Processor& target = processor(number);
    dpc.queue = &target;
    dpc.argument_1 = argument_1;
    dpc.argument_2 = argument_2;
    const bool at_the_front = dpc.importance == DpcImportance::high;
    rtl::insert_before(at_the_front ? *target.dpcs.next : target.dpcs, dpc.entry);
    if (is_urgent(dpc, number == self)) {
        hal::send_interrupt(number, dispatch_vector);
    }
    return true;
}

bool unqueue_dpc(Kdpc& dpc) {
    const Locked locked{dispatcher_lock};
    if (dpc.queue == nullptr) {
        return false;
    }
    rtl::remove(dpc.entry);
    dpc.queue = nullptr;
    return true;
}

void run_dpcs(Processor& here) {
    Kdpc* dpc{};
    Kdpc call{};
    while (take_first(here, dpc, call)) {
        arch::sti();
        call.routine(dpc, call.context, call.argument_1, call.argument_2);
        arch::cli();
        check_irql_after(call);
    }
}

void flush_dpcs() {
    // On each processor in turn: a thread runs there only while no DPC does, so all that have begun
    // have also ended.
    const std::uint64_t before = current_thread().system_affinity;
    for (std::uint32_t number = 0; number < processor_count(); ++number) {
        (void)bind_current_thread(1ULL << number);
        while (!is_queue_empty(number)) {
            hal::send_interrupt(number, dispatch_vector);
            arch::pause();
        }
    }
    (void)bind_current_thread(before);
}

Kdpc* first_dpc(Processor& processor) {
    return rtl::is_empty(processor.dpcs) ? nullptr : &dpc_of(*processor.dpcs.next);
}

Kdpc* dpc_after(Processor& processor, Kdpc& dpc) {
    return dpc.entry.next == &processor.dpcs ? nullptr : &dpc_of(*dpc.entry.next);
}

}  // namespace hvp::lab::ke
