// KeGetCurrentIrql, KfRaiseIrql, KeLowerIrql, KeRaiseIrqlToDpcLevel and the spin locks: all of
// them are CR8.
#include <bit>
#include <cstdint>

#include "lab/nt/examiner/rules.hpp"
#include "lab/nt/ke/bugcheck.hpp"
#include "lab/nt/ke/irql.hpp"
#include "lab/nt/ke/thread.hpp"
#include "lab/nt/rtl/export.hpp"

namespace hvp::lab::ke {
namespace {

std::uint64_t level(Irql irql) {
    return static_cast<std::uint64_t>(irql);
}

void report_wrong_way(std::string_view function, Irql from, Irql to, const examiner::Call& call) {
    rtl::Sentence detail{function};
    detail.put(" went from IRQL ").decimal(level(from)).put(" to ").decimal(level(to));
    examiner::report_finding("IrqlWrongWay", detail, call.verifier, call.caller);
}

Irql raise_to(Irql wanted, std::string_view function, std::uint64_t caller) {
    examiner::check_stack(function, caller);
    const Irql old = current_irql();
    if (old > wanted) {
        report_wrong_way(function, old, wanted, {function, examiner::raise_downwards, caller});
    }
    set_irql(wanted);
    return old;
}

}  // namespace

/// [Windows: KeGetCurrentIrql]
NT_EXPORT Irql KeGetCurrentIrql() {
    examiner::check_stack("KeGetCurrentIrql", examiner::caller(__builtin_return_address(0)));
    return current_irql();
}

/// [Windows: KeRaiseIrql] What the macro KeRaiseIrql calls.
NT_EXPORT Irql KfRaiseIrql(Irql wanted) {
    return raise_to(wanted, "KeRaiseIrql", examiner::caller(__builtin_return_address(0)));
}

/// [Windows: KeLowerIrql]
NT_EXPORT void KeLowerIrql(Irql wanted) {
    examiner::check_stack("KeLowerIrql", examiner::caller(__builtin_return_address(0)));
    const Irql old = current_irql();
    if (old < wanted) {
        report_wrong_way("KeLowerIrql", old, wanted,
                         {"KeLowerIrql", examiner::lower_upwards,
                          examiner::caller(__builtin_return_address(0))});
    }
    set_irql(wanted);
}

/// [Windows: KeRaiseIrqlToDpcLevel]
NT_EXPORT Irql KeRaiseIrqlToDpcLevel() {
    return raise_to(Irql::dispatch, "KeRaiseIrqlToDpcLevel",
                    examiner::caller(__builtin_return_address(0)));
}

/// [Windows: KeInitializeSpinLock]
NT_EXPORT void KeInitializeSpinLock(std::uint64_t* lock) {
    *lock = 0;
}

/// [Windows: KeAcquireSpinLock] The lock holds its owner's thread, so that who waits for himself is
/// found out: at DISPATCH_LEVEL a thread stays on its processor.
NT_EXPORT Irql KeAcquireSpinLockRaiseToDpc(std::uint64_t* lock) {
    const auto caller = examiner::caller(__builtin_return_address(0));
    examiner::check_irql_at_most(Irql::dispatch,
                                 {"KeAcquireSpinLock", examiner::acquire_spin_lock_irql, caller});
    const Irql old = current_irql();
    set_irql(Irql::dispatch);
    const std::uint64_t self = std::bit_cast<std::uint64_t>(&current_thread()) | 1;
    for (std::uint64_t owner = 0; !__atomic_compare_exchange_n(lock, &owner, self, false,
                                                               __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
         owner = 0) {
        if (owner == self) {
            bug_check({.code = BugCheckCode::spin_lock_already_owned,
                       .parameters = {examiner::caller(lock)}});
        }
        arch::pause();
    }
    return old;
}

/// [Windows: KeReleaseSpinLock]
NT_EXPORT void KeReleaseSpinLock(std::uint64_t* lock, Irql old) {
    examiner::check_stack("KeReleaseSpinLock", examiner::caller(__builtin_return_address(0)));
    if (current_irql() != Irql::dispatch) {
        rtl::Sentence detail{"KeReleaseSpinLock was called at IRQL "};
        detail.decimal(level(current_irql())).put(", not at DISPATCH_LEVEL");
        examiner::report_finding("IrqlNotDispatch", detail, examiner::release_spin_lock_irql,
                                 examiner::caller(__builtin_return_address(0)));
    }
    __atomic_store_n(lock, 0, __ATOMIC_RELEASE);
    set_irql(old);
}

}  // namespace hvp::lab::ke
