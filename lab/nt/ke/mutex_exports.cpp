// KeInitializeMutex, KeReleaseMutex, KeReadStateMutex.
#include "lab/nt/examiner/rules.hpp"
#include "lab/nt/ke/thread.hpp"
#include "lab/nt/ke/wait.hpp"
#include "lab/nt/rtl/exception.hpp"
#include "lab/nt/rtl/export.hpp"
#include "lab/nt/rtl/list.hpp"

namespace hvp::lab::ke {

/// [Windows: KeInitializeMutex] Any IRQL; the level is reserved.
NT_EXPORT void KeInitializeMutex(Kmutant* mutex, std::uint32_t /*level*/) {
    examiner::check_stack("KeInitializeMutex", examiner::caller(__builtin_return_address(0)));
    *mutex = {};
    initialise(mutex->header, ObjectType::mutant, sizeof(Kmutant), 1);
    rtl::make_empty(mutex->owned);
    mutex->apc_disable = 1;
}

/// [Windows: KeReleaseMutex] The owner releases it as often as it has acquired it. In any other
/// thread it raises an exception, STATUS_MUTANT_NOT_OWNED.
///
/// Returns  0 if it is free now
NT_EXPORT std::int32_t KeReleaseMutex(Kmutant* mutex, rtl::Boolean wait) {
    examiner::check_irql_at_most(
        wait != 0 ? Irql::apc : Irql::dispatch,
        {"KeReleaseMutex", examiner::api_irql, examiner::caller(__builtin_return_address(0))});
    if (__atomic_load_n(&mutex->owner, __ATOMIC_ACQUIRE) != &current_thread()) {
        rtl::raise_status(rtl::status_mutant_not_owned);
    }
    const Locked locked{dispatcher_lock};
    const std::int32_t before = mutex->header.signal_state++;
    if (mutex->header.signal_state == 1) {
        mutex->owner = nullptr;
        rtl::remove(mutex->owned);
        release_waiters(mutex->header);
    }
    return before;
}

/// [Windows: KeReadStateMutex]
///
/// Returns  1 if it is free
NT_EXPORT std::int32_t KeReadStateMutex(const Kmutant* mutex) {
    examiner::check_irql_at_most(Irql::dispatch, {"KeReadStateMutex", examiner::api_irql,
                                                  examiner::caller(__builtin_return_address(0))});
    return __atomic_load_n(&mutex->header.signal_state, __ATOMIC_ACQUIRE);
}

}  // namespace hvp::lab::ke
