// KeInitializeMutex, KeReleaseMutex, KeReadStateMutex.
#include <bit>

#include "lab/nt/examiner/rules.hpp"
#include "lab/nt/ke/bugcheck.hpp"
#include "lab/nt/ke/thread.hpp"
#include "lab/nt/ke/wait.hpp"
#include "lab/nt/rtl/export.hpp"
#include "lab/nt/rtl/list.hpp"

namespace hvp::lab::ke {
namespace {

/// [Windows: KeReleaseMutex] raises it; in a driver without a handler that is a bug check.
[[noreturn]] void refuse_release(const Kmutant& mutex, std::uint64_t caller) {
    rtl::Sentence detail{"KeReleaseMutex raised STATUS_MUTANT_NOT_OWNED: thread "};
    detail.hex(std::bit_cast<std::uint64_t>(&current_thread())).put(" does not own the mutex at ");
    detail.hex(std::bit_cast<std::uint64_t>(&mutex)).put("; its owner is ");
    detail.hex(std::bit_cast<std::uint64_t>(mutex.owner));
    constexpr std::uint64_t mutant_not_owned = 0xFFFF'FFFF'C000'0046;
    bug_check({.code = BugCheckCode::kmode_exception_not_handled,
               .parameters = {mutant_not_owned, caller},
               .detail = detail.view()});
}

}  // namespace

/// [Windows: KeInitializeMutex] Any IRQL; the level is reserved.
NT_EXPORT void KeInitializeMutex(Kmutant* mutex, std::uint32_t /*level*/) {
    examiner::check_stack("KeInitializeMutex", examiner::caller(__builtin_return_address(0)));
    *mutex = {};
    initialise(mutex->header, ObjectType::mutant, sizeof(Kmutant), 1);
    rtl::make_empty(mutex->owned);
    mutex->apc_disable = 1;
}

/// [Windows: KeReleaseMutex] Its owner releases it as often as it has acquired it.
///
/// Returns  0 if it is free now
NT_EXPORT std::int32_t KeReleaseMutex(Kmutant* mutex, rtl::Boolean wait) {
    const auto caller = examiner::caller(__builtin_return_address(0));
    examiner::check_irql_at_most(wait != 0 ? Irql::apc : Irql::dispatch,
                                 {"KeReleaseMutex", examiner::api_irql, caller});
    if (__atomic_load_n(&mutex->owner, __ATOMIC_ACQUIRE) != &current_thread()) {
        refuse_release(*mutex, caller);
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
