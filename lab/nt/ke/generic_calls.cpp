// One routine on all processors: KeIpiGenericCall, KeGenericCallDpc, KeSignalCallDpcDone,
// KeSignalCallDpcSynchronize.
#include <array>
#include <bit>
#include <cstdint>

#include "hypervisor/arch/instructions.hpp"
#include "lab/nt/examiner/rules.hpp"
#include "lab/nt/ke/dpc.hpp"
#include "lab/nt/ke/processor.hpp"
#include "lab/nt/rtl/export.hpp"

namespace hvp::lab::ke {
namespace {

using IpiRoutine = std::uint64_t (*)(std::uint64_t context);

struct IpiCall {
    IpiRoutine routine{};
    std::uint64_t context{};
    std::uint32_t caller{};
    std::uint64_t result{};
};

void run_ipi_routine(void* context) {
    auto& call = *static_cast<IpiCall*>(context);
    const std::uint64_t result = call.routine(call.context);
    if (current_processor_number() == call.caller) {
        call.result = result;
    }
}

/// What SystemArgument2 of a generic DPC points to: a reusable barrier.
struct Barrier {
    std::uint32_t expected{};
    std::uint32_t present{};
    std::uint32_t round{};
};

/// One KeGenericCallDpc. SystemArgument1 points to `missing`, SystemArgument2 to `barrier`.
struct DpcCall {
    std::uint32_t missing{};  ///< processors that have not called KeSignalCallDpcDone
    std::uint32_t running{};  ///< processors on which the routine has not returned
    Barrier barrier{};
    DpcRoutine routine{};
    void* context{};
    std::array<Kdpc, most_processors> dpcs{};
};

constinit DpcCall the_call{};
constinit bool call_is_taken{};

void run_dpc_routine(Kdpc* dpc, void* /*context*/, void* argument_1, void* argument_2) {
    stagger();
    the_call.routine(dpc, the_call.context, argument_1, argument_2);
    __atomic_sub_fetch(&the_call.running, 1, __ATOMIC_ACQ_REL);
}

/// Acquires the call and raises the IRQL: another thread of this processor that wants the call must
/// not preempt its owner. While it waits the IRQL is the caller's, because the owner's call needs
/// this processor to run its routine.
Irql take_call() {
    const Irql old = current_irql();
    for (;;) {
        set_irql(old > Irql::dispatch ? old : Irql::dispatch);
        if (!__atomic_exchange_n(&call_is_taken, true, __ATOMIC_ACQUIRE)) {
            return old;
        }
        set_irql(old);
        arch::pause();
    }
}

void start_everywhere() {
    const std::uint32_t self = current_processor_number();
    const std::uint32_t count = processor_count();
    the_call.missing = count;
    the_call.running = count;
    the_call.barrier = {.expected = count};
    for (std::uint32_t number = 0; number < count; ++number) {
        Kdpc& dpc = the_call.dpcs[number];
        dpc = {.importance = DpcImportance::high,
               .target = static_cast<std::uint16_t>(number + 1),
               .routine = run_dpc_routine,
               .context = the_call.context};
        if (number != self) {
            (void)queue_dpc(dpc, &the_call.missing, &the_call.barrier);
        }
    }
    run_dpc_routine(&the_call.dpcs[self], nullptr, &the_call.missing, &the_call.barrier);
}

/// Windows waits for ever for a processor that does not call KeSignalCallDpcDone. Once all routines
/// have returned, none can call it any more.
void await_all_done_calls(std::uint64_t caller) {
    while (__atomic_load_n(&the_call.running, __ATOMIC_ACQUIRE) != 0) {
        arch::pause();
    }
    const std::uint32_t missing = __atomic_load_n(&the_call.missing, __ATOMIC_ACQUIRE);
    if (missing == 0) {
        return;
    }
    rtl::Sentence detail{"KeGenericCallDpc would wait for ever: its routine at "};
    detail.hex(std::bit_cast<std::uint64_t>(the_call.routine)).put(" has returned, and ");
    detail.decimal(missing).put(" of ").decimal(the_call.barrier.expected);
    detail.put(" processors did not call KeSignalCallDpcDone");
    examiner::report_finding("DpcNotDone", detail, examiner::no_verifier_code, caller);
}

/// Whether all processors whose routine has not returned wait at the barrier: the others will never
/// arrive. Windows waits for them until its watchdog stops the system. True on one of those that
/// wait.
bool must_open(Barrier& barrier, std::uint32_t round) {
    std::uint32_t present = __atomic_load_n(&barrier.present, __ATOMIC_ACQUIRE);
    return present != 0 && present < barrier.expected &&
           present == __atomic_load_n(&the_call.running, __ATOMIC_ACQUIRE) &&
           round == __atomic_load_n(&barrier.round, __ATOMIC_ACQUIRE) &&
           __atomic_compare_exchange_n(&barrier.present, &present, 0, false, __ATOMIC_ACQ_REL,
                                       __ATOMIC_RELAXED);
}

void report_not_synchronized(const Barrier& barrier, std::uint64_t caller) {
    rtl::Sentence detail{"KeSignalCallDpcSynchronize would wait for ever: on "};
    detail.decimal(barrier.expected - __atomic_load_n(&the_call.running, __ATOMIC_ACQUIRE));
    detail.put(" of ").decimal(barrier.expected).put(" processors the routine at ");
    detail.hex(std::bit_cast<std::uint64_t>(the_call.routine)).put(" returned without it");
    examiner::report_finding("DpcNotSynchronized", detail, examiner::no_verifier_code, caller);
}

}  // namespace

/// [Windows: KeIpiGenericCall] Below IPI_LEVEL.
///
/// Returns  what the routine returned here
NT_EXPORT std::uint64_t KeIpiGenericCall(IpiRoutine routine, std::uint64_t context) {
    examiner::check_irql_at_most(Irql::clock, {"KeIpiGenericCall", examiner::api_irql,
                                               examiner::caller(__builtin_return_address(0))});
    const arch::InterruptsOff interrupts_off;
    const Irql old = current_irql();
    set_irql(old > Irql::ipi ? old : Irql::ipi);
    IpiCall call{.routine = routine, .context = context, .caller = current_processor_number()};
    run_on_all_at_once(run_ipi_routine, &call);
    set_irql(old);
    return call.result;
}

/// Undocumented. The routine runs at DISPATCH_LEVEL on all processors at once, and each of them
/// calls KeSignalCallDpcDone at its end.
NT_EXPORT void KeGenericCallDpc(DpcRoutine routine, void* context) {
    const auto caller = examiner::caller(__builtin_return_address(0));
    examiner::check_irql_at_most(Irql::apc, {"KeGenericCallDpc", examiner::api_irql, caller});
    const Irql old = take_call();
    the_call.routine = routine;
    the_call.context = context;
    start_everywhere();
    await_all_done_calls(caller);
    __atomic_store_n(&call_is_taken, false, __ATOMIC_RELEASE);
    set_irql(old);
}

/// Undocumented. Takes SystemArgument1 of the DPC routine.
NT_EXPORT void KeSignalCallDpcDone(std::uint32_t* missing) {
    examiner::check_stack("KeSignalCallDpcDone", examiner::caller(__builtin_return_address(0)));
    __atomic_sub_fetch(missing, 1, __ATOMIC_ACQ_REL);
}

/// Undocumented. Takes SystemArgument2 of the DPC routine, and waits until all processors have
/// called it.
///
/// Returns  TRUE on one of them
NT_EXPORT rtl::Boolean KeSignalCallDpcSynchronize(Barrier* barrier) {
    const auto caller = examiner::caller(__builtin_return_address(0));
    examiner::check_stack("KeSignalCallDpcSynchronize", caller);
    const std::uint32_t round = __atomic_load_n(&barrier->round, __ATOMIC_ACQUIRE);
    if (__atomic_add_fetch(&barrier->present, 1, __ATOMIC_ACQ_REL) == barrier->expected) {
        __atomic_store_n(&barrier->present, 0, __ATOMIC_RELAXED);
        __atomic_store_n(&barrier->round, round + 1, __ATOMIC_RELEASE);
        return 1;
    }
    while (__atomic_load_n(&barrier->round, __ATOMIC_ACQUIRE) == round) {
        if (must_open(*barrier, round)) {
            report_not_synchronized(*barrier, caller);
            __atomic_store_n(&barrier->round, round + 1, __ATOMIC_RELEASE);
            return 1;
        }
        arch::pause();
    }
    return 0;
}

}  // namespace hvp::lab::ke
