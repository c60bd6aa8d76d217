// Threads first: they could otherwise arm timers and queue DPCs after those have been looked for.
#include "lab/nt/examiner/pending.hpp"

#include <bit>
#include <cstdint>

#include "lab/nt/examiner/rules.hpp"
#include "lab/nt/ke/bugcheck.hpp"
#include "lab/nt/ke/dpc.hpp"
#include "lab/nt/ke/processor.hpp"
#include "lab/nt/ke/thread.hpp"
#include "lab/nt/ke/timer.hpp"
#include "lab/nt/ke/wait.hpp"
#include "lab/nt/rtl/list.hpp"

namespace hvp::lab::examiner {
namespace {

template <typename T>
std::uint64_t number(T* pointer) {
    return std::bit_cast<std::uint64_t>(pointer);
}

/// Some thread that the driver has started and that has not ended.
ke::Kthread* running_thread() {
    const ke::Locked locked{ke::dispatcher_lock};
    ke::Kthread* thread = ke::first_thread();
    while (thread != nullptr && (thread->ended || thread->before_end == nullptr)) {
        thread = thread->next_thread;
    }
    return thread;
}

void end_threads() {
    while (ke::Kthread* const thread = running_thread()) {
        const std::uint64_t routine = number(thread->routine);
        rtl::Sentence detail{"the thread that began at "};
        detail.hex(routine).put(" still runs; a driver waits for the end of its threads");
        report_finding("ThreadLeft", detail, no_verifier_code, routine);
        if (!ke::end_thread(*thread)) {
            ke::bug_check(
                {.code = ke::BugCheckCode::driver_unloaded_without_cancelling_pending_operations,
                 .parameters = {routine, 0, routine},
                 .detail = "a thread of the driver does not leave its processor"});
        }
    }
}

/// What Windows detects when the memory is freed: bug check 0xC7, TIMER_OR_DPC_INVALID.
void report_timer(const ke::Ktimer& timer) {
    rtl::Sentence detail{"the timer at "};
    detail.hex(number(&timer)).put(" is still armed");
    std::uint64_t routine = 0;
    if (timer.dpc != nullptr) {
        routine = number(timer.dpc->routine);
        detail.put("; its DPC would run ").hex(routine);
    }
    detail.put("; KeCancelTimer disarms it");
    report_finding("TimerLeft", detail, no_verifier_code, routine);
}

void report_dpc(const ke::Kdpc& dpc) {
    rtl::Sentence detail{"the DPC at "};
    detail.hex(number(&dpc)).put(" is still queued, to run ").hex(number(dpc.routine));
    detail.put("; KeFlushQueuedDpcs waits for it");
    report_finding("DpcLeft", detail, no_verifier_code, number(dpc.routine));
}

ke::Ktimer* take_timer() {
    const ke::Locked locked{ke::dispatcher_lock};
    ke::Ktimer* const timer = ke::first_timer();
    if (timer != nullptr) {
        (void)ke::disarm(*timer);
    }
    return timer;
}

ke::Kdpc* take_dpc(ke::Processor& processor) {
    const ke::Locked locked{ke::dispatcher_lock};
    ke::Kdpc* const dpc = ke::first_dpc(processor);
    if (dpc != nullptr) {
        (void)ke::unqueue_dpc(*dpc);
    }
    return dpc;
}

}  // namespace

void report_pending() {
    end_threads();
    // No other thread waits now, and the kernel has no timers but those of waiting threads.
    while (const ke::Ktimer* const timer = take_timer()) {
        report_timer(*timer);
    }
    report_queued_dpcs();
    ke::flush_dpcs();  // one may have begun
}

void report_queued_dpcs() {
    for (std::uint32_t i = 0; i < ke::processor_count(); ++i) {
        while (const ke::Kdpc* const dpc = take_dpc(ke::processor(i))) {
            report_dpc(*dpc);
        }
    }
}

void report_held_mutexes(std::string_view what) {
    auto& mutexes = ke::current_thread().mutexes;
    while (!rtl::is_empty(mutexes)) {
        auto& mutex = rtl::holder_of<ke::Kmutant, offsetof(ke::Kmutant, owned)>(*mutexes.next);
        rtl::Sentence detail{what};
        detail.put(" returned with the mutex at ").hex(number(&mutex)).put(" still acquired");
        report_finding("MutexHeld", detail, no_verifier_code, 0);
        const ke::Locked locked{ke::dispatcher_lock};
        rtl::remove(mutex.owned);
        mutex.owner = nullptr;
        mutex.header.signal_state = 1;
        ke::release_waiters(mutex.header);
    }
}

}  // namespace hvp::lab::examiner
