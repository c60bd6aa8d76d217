// KeInitializeTimer, KeInitializeTimerEx, KeSetTimer, KeSetTimerEx, KeCancelTimer,
// KeReadStateTimer.
#include "lab/nt/examiner/rules.hpp"
#include "lab/nt/ke/timer.hpp"
#include "lab/nt/ke/wait.hpp"
#include "lab/nt/rtl/export.hpp"
#include "lab/nt/rtl/list.hpp"

namespace hvp::lab::ke {
namespace {

void check_irql(examiner::FunctionName function, const void* return_address) {
    examiner::check_irql_at_most(Irql::dispatch,
                                 {function, examiner::api_irql, examiner::caller(return_address)});
}

void initialise(Ktimer& timer, ObjectType type) {
    timer = {};
    initialise(timer.header, type, sizeof(Ktimer), 0);
    rtl::make_empty(timer.entry);
}

rtl::Boolean set(Ktimer& timer, std::int64_t due, std::int32_t period, Kdpc* dpc) {
    const Locked locked{dispatcher_lock};
    return arm(timer, due, static_cast<std::uint32_t>(period), dpc) ? 1 : 0;
}

}  // namespace

/// [Windows: KeInitializeTimer] A notification timer.
NT_EXPORT void KeInitializeTimer(Ktimer* timer) {
    check_irql("KeInitializeTimer", __builtin_return_address(0));
    initialise(*timer, ObjectType::notification_timer);
}

/// [Windows: KeInitializeTimerEx]
NT_EXPORT void KeInitializeTimerEx(Ktimer* timer, std::uint32_t type) {
    check_irql("KeInitializeTimerEx", __builtin_return_address(0));
    initialise(*timer,
               type == 0 ? ObjectType::notification_timer : ObjectType::synchronization_timer);
}

/// [Windows: KeSetTimer]
///
/// Returns  TRUE if it was armed already
NT_EXPORT rtl::Boolean KeSetTimer(Ktimer* timer, std::int64_t due, Kdpc* dpc) {
    check_irql("KeSetTimer", __builtin_return_address(0));
    return set(*timer, due, 0, dpc);
}

/// [Windows: KeSetTimerEx] The period is in milliseconds.
///
/// Returns  TRUE if it was armed already
NT_EXPORT rtl::Boolean KeSetTimerEx(Ktimer* timer, std::int64_t due, std::int32_t period,
                                    Kdpc* dpc) {
    check_irql("KeSetTimerEx", __builtin_return_address(0));
    return set(*timer, due, period, dpc);
}

/// [Windows: KeCancelTimer] A DPC that is queued already stays queued.
///
/// Returns  TRUE if it was armed
NT_EXPORT rtl::Boolean KeCancelTimer(Ktimer* timer) {
    check_irql("KeCancelTimer", __builtin_return_address(0));
    const Locked locked{dispatcher_lock};
    return disarm(*timer) ? 1 : 0;
}

/// [Windows: KeReadStateTimer]
NT_EXPORT rtl::Boolean KeReadStateTimer(const Ktimer* timer) {
    check_irql("KeReadStateTimer", __builtin_return_address(0));
    return __atomic_load_n(&timer->header.signal_state, __ATOMIC_ACQUIRE) > 0 ? 1 : 0;
}

}  // namespace hvp::lab::ke
