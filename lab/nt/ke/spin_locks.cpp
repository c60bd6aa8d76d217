// Spin locks of both kinds: one word that holds its owner, and the queued one, where each waiting
// processor polls a word of its own.
#include <bit>
#include <cstdint>

#include "hypervisor/arch/instructions.hpp"
#include "lab/nt/examiner/rules.hpp"
#include "lab/nt/ke/bugcheck.hpp"
#include "lab/nt/ke/irql.hpp"
#include "lab/nt/ke/thread.hpp"
#include "lab/nt/rtl/export.hpp"

namespace hvp::lab::ke {
namespace {

/// [Windows: KLOCK_QUEUE_HANDLE, wdm.h] The two lowest bits of `lock` say what its place in the
/// queue is.
struct LockQueueHandle {
    LockQueueHandle* next{};
    std::uint64_t lock{};
    Irql old_irql{};
};
static_assert(sizeof(LockQueueHandle) == 0x18);

constexpr std::uint64_t waits = 1;
constexpr std::uint64_t owns = 2;

/// A lock holds its owner's thread, so that a thread that acquires it twice is detected. At
/// DISPATCH_LEVEL a thread stays on its processor.
std::uint64_t owner_mark() {
    return std::bit_cast<std::uint64_t>(&current_thread()) | 1;
}

bool try_acquire(std::uint64_t* lock, std::uint64_t& owner) {
    owner = 0;
    return __atomic_compare_exchange_n(lock, &owner, owner_mark(), false, __ATOMIC_ACQUIRE,
                                       __ATOMIC_RELAXED);
}

void acquire(std::uint64_t* lock) {
    for (std::uint64_t owner{}; !try_acquire(lock, owner);) {
        if (owner == owner_mark()) {
            bug_check({.code = BugCheckCode::spin_lock_already_owned,
                       .parameters = {examiner::caller(lock)}});
        }
        arch::pause();
    }
}

void acquire_queued(LockQueueHandle** tail, LockQueueHandle& self) {
    const auto lock = std::bit_cast<std::uint64_t>(tail);
    self.next = nullptr;
    self.lock = lock | waits;
    LockQueueHandle* const before = __atomic_exchange_n(tail, &self, __ATOMIC_ACQ_REL);
    if (before != nullptr) {
        __atomic_store_n(&before->next, &self, __ATOMIC_RELEASE);
        while ((__atomic_load_n(&self.lock, __ATOMIC_ACQUIRE) & waits) != 0) {
            arch::pause();
        }
    }
    self.lock = lock | owns;
}

void release_queued(LockQueueHandle& self) {
    auto** const tail = std::bit_cast<LockQueueHandle**>(self.lock & ~(waits | owns));
    self.lock &= ~owns;
    LockQueueHandle* expected = &self;
    if (__atomic_compare_exchange_n(tail, &expected, nullptr, false, __ATOMIC_ACQ_REL,
                                    __ATOMIC_ACQUIRE)) {
        return;
    }
    // Another processor is next in the queue, or is about to link itself.
    LockQueueHandle* next{};
    while ((next = __atomic_load_n(&self.next, __ATOMIC_ACQUIRE)) == nullptr) {
        arch::pause();
    }
    __atomic_fetch_and(&next->lock, ~waits, __ATOMIC_RELEASE);
}

/// For routines that must be called at DISPATCH_LEVEL exactly.
void check_at_dispatch(const examiner::Call& call) {
    examiner::check_stack(call.function, call.caller);
    if (current_irql() == Irql::dispatch) {
        return;
    }
    rtl::Sentence detail{call.function};
    detail.put(" was called at IRQL ").decimal(static_cast<std::uint64_t>(current_irql()));
    detail.put(", not at DISPATCH_LEVEL");
    examiner::report_finding("IrqlNotDispatch", detail, call.verifier, call.caller);
}

Irql raise(examiner::FunctionName function, std::uint64_t caller) {
    examiner::check_irql_at_most(Irql::dispatch,
                                 {function, examiner::acquire_spin_lock_irql, caller});
    const Irql old = current_irql();
    set_irql(old > Irql::dispatch ? old : Irql::dispatch);
    return old;
}

}  // namespace

/// [Windows: KeInitializeSpinLock]
NT_EXPORT void KeInitializeSpinLock(std::uint64_t* lock) {
    *lock = 0;
}

/// [Windows: KeAcquireSpinLock]
NT_EXPORT Irql KeAcquireSpinLockRaiseToDpc(std::uint64_t* lock) {
    const Irql old = raise("KeAcquireSpinLock", examiner::caller(__builtin_return_address(0)));
    acquire(lock);
    return old;
}

/// [Windows: KeReleaseSpinLock]
NT_EXPORT void KeReleaseSpinLock(std::uint64_t* lock, Irql old) {
    check_at_dispatch({"KeReleaseSpinLock", examiner::release_spin_lock_irql,
                       examiner::caller(__builtin_return_address(0))});
    __atomic_store_n(lock, 0, __ATOMIC_RELEASE);
    set_irql(old);
}

/// [Windows: KeAcquireSpinLockAtDpcLevel]
NT_EXPORT void KeAcquireSpinLockAtDpcLevel(std::uint64_t* lock) {
    check_at_dispatch({"KeAcquireSpinLockAtDpcLevel", examiner::acquire_at_dpc_level_irql,
                       examiner::caller(__builtin_return_address(0))});
    acquire(lock);
}

/// [Windows: KeReleaseSpinLockFromDpcLevel]
NT_EXPORT void KeReleaseSpinLockFromDpcLevel(std::uint64_t* lock) {
    check_at_dispatch({"KeReleaseSpinLockFromDpcLevel", examiner::release_from_dpc_level_irql,
                       examiner::caller(__builtin_return_address(0))});
    __atomic_store_n(lock, 0, __ATOMIC_RELEASE);
}

/// [Windows: KeTryToAcquireSpinLockAtDpcLevel]
///
/// Returns  FALSE if it is held
NT_EXPORT rtl::Boolean KeTryToAcquireSpinLockAtDpcLevel(std::uint64_t* lock) {
    check_at_dispatch({"KeTryToAcquireSpinLockAtDpcLevel", examiner::acquire_at_dpc_level_irql,
                       examiner::caller(__builtin_return_address(0))});
    std::uint64_t owner{};
    return try_acquire(lock, owner) ? 1 : 0;
}

/// [Windows: KeAcquireInStackQueuedSpinLock]
NT_EXPORT void KeAcquireInStackQueuedSpinLock(LockQueueHandle** lock, LockQueueHandle* handle) {
    handle->old_irql =
        raise("KeAcquireInStackQueuedSpinLock", examiner::caller(__builtin_return_address(0)));
    acquire_queued(lock, *handle);
}

/// [Windows: KeReleaseInStackQueuedSpinLock]
NT_EXPORT void KeReleaseInStackQueuedSpinLock(LockQueueHandle* handle) {
    check_at_dispatch({"KeReleaseInStackQueuedSpinLock", examiner::release_spin_lock_irql,
                       examiner::caller(__builtin_return_address(0))});
    const Irql old = handle->old_irql;
    release_queued(*handle);
    set_irql(old);
}

/// [Windows: KeAcquireInStackQueuedSpinLockAtDpcLevel]
NT_EXPORT void KeAcquireInStackQueuedSpinLockAtDpcLevel(LockQueueHandle** lock,
                                                        LockQueueHandle* handle) {
    check_at_dispatch({"KeAcquireInStackQueuedSpinLockAtDpcLevel",
                       examiner::acquire_at_dpc_level_irql,
                       examiner::caller(__builtin_return_address(0))});
    acquire_queued(lock, *handle);
}

/// [Windows: KeReleaseInStackQueuedSpinLockFromDpcLevel]
NT_EXPORT void KeReleaseInStackQueuedSpinLockFromDpcLevel(LockQueueHandle* handle) {
    check_at_dispatch({"KeReleaseInStackQueuedSpinLockFromDpcLevel",
                       examiner::release_from_dpc_level_irql,
                       examiner::caller(__builtin_return_address(0))});
    release_queued(*handle);
}

}  // namespace hvp::lab::ke
