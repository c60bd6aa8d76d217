// The IRQL, spin locks of both kinds, and the driver's own bug checks.
#include <array>
#include <bit>

#include "tests/drivers/contract.hpp"

namespace {

using namespace hvp::tests;

// Headers turn these into moves to and from CR8; the kernel has them all the same. DriverEntry
// looks them up.
constinit KIRQL (*current_irql)(){};
constinit KIRQL (*raise)(KIRQL level){};
constinit KIRQL (*raise_to_dispatch)(){};
constinit void (*lower)(KIRQL level){};

bool raises_and_lowers() {
    const KIRQL old = raise(DISPATCH_LEVEL);
    const KIRQL middle = raise(HIGH_LEVEL);
    const KIRQL high = current_irql();
    lower(middle);
    const KIRQL low = current_irql();
    lower(old);
    return old == PASSIVE_LEVEL && middle == DISPATCH_LEVEL && high == HIGH_LEVEL &&
           low == DISPATCH_LEVEL && current_irql() == PASSIVE_LEVEL;
}

bool raises_to_dispatch_level() {
    const KIRQL old = raise_to_dispatch();
    const KIRQL now = KeGetCurrentIrql();
    KeLowerIrql(old);
    return old == PASSIVE_LEVEL && now == DISPATCH_LEVEL;
}

bool spin_lock_raises_the_irql() {
    KSPIN_LOCK lock;
    KIRQL old{};
    KeInitializeSpinLock(&lock);
    KeAcquireSpinLock(&lock, &old);
    const bool held = lock != 0 && KeGetCurrentIrql() == DISPATCH_LEVEL && old == PASSIVE_LEVEL;
    KeReleaseSpinLock(&lock, old);
    return held && lock == 0 && KeGetCurrentIrql() == PASSIVE_LEVEL;
}

bool spin_lock_can_be_tried() {
    KSPIN_LOCK lock;
    KeInitializeSpinLock(&lock);
    bool first = false;
    bool second = true;
    bool third = false;
    at_irql(DISPATCH_LEVEL, [&] {
        first = KeTryToAcquireSpinLockAtDpcLevel(&lock);
        second = KeTryToAcquireSpinLockAtDpcLevel(&lock);
        KeReleaseSpinLockFromDpcLevel(&lock);
        KeAcquireSpinLockAtDpcLevel(&lock);
        third = !KeTryToAcquireSpinLockAtDpcLevel(&lock);
        KeReleaseSpinLockFromDpcLevel(&lock);
    });
    return first && !second && third && lock == 0;
}

bool queued_lock_raises_the_irql() {
    KSPIN_LOCK lock;
    KLOCK_QUEUE_HANDLE handle;
    KeInitializeSpinLock(&lock);
    KeAcquireInStackQueuedSpinLock(&lock, &handle);
    const bool held = lock != 0 && KeGetCurrentIrql() == DISPATCH_LEVEL;
    KeReleaseInStackQueuedSpinLock(&handle);
    return held && lock == 0 && KeGetCurrentIrql() == PASSIVE_LEVEL;
}

bool queued_lock_at_dpc_level() {
    KSPIN_LOCK lock;
    KeInitializeSpinLock(&lock);
    bool held = false;
    at_irql(DISPATCH_LEVEL, [&] {
        KLOCK_QUEUE_HANDLE handle;
        KeAcquireInStackQueuedSpinLockAtDpcLevel(&lock, &handle);
        held = lock != 0;
        KeReleaseInStackQueuedSpinLockFromDpcLevel(&handle);
    });
    return held && lock == 0;
}

/// What all processors do with one lock, in a DPC of each: count, and look who else is inside.
struct Contest {
    KSPIN_LOCK lock = 0;
    bool queued = false;
    volatile LONG present = 0;
    LONG expected = 0;
    volatile LONG inside = 0;
    volatile LONG together = 0;
    LONG sum = 0;  // no atomic: the lock guards it
};

void compete(Contest& contest) {
    constexpr int rounds = 50;
    InterlockedIncrement(&contest.present);
    for (int i = 0; i < rounds; ++i) {
        KLOCK_QUEUE_HANDLE handle;
        if (contest.queued) {
            KeAcquireInStackQueuedSpinLockAtDpcLevel(&contest.lock, &handle);
        } else {
            KeAcquireSpinLockAtDpcLevel(&contest.lock);
        }
        if (InterlockedIncrement(&contest.inside) != 1) {
            InterlockedIncrement(&contest.together);
        }
        contest.sum = opaque(contest.sum) + 1;
        InterlockedDecrement(&contest.inside);
        if (contest.queued) {
            KeReleaseInStackQueuedSpinLockFromDpcLevel(&handle);
        } else {
            KeReleaseSpinLockFromDpcLevel(&contest.lock);
        }
    }
}

bool only_one_is_inside(bool queued) {
    const ULONG count = KeQueryActiveProcessorCount(nullptr);
    Contest contest;
    contest.queued = queued;
    std::array<KDPC, 8> dpcs;
    for (ULONG i = 0; i < count; ++i) {
        KeInitializeDpc(
            &dpcs[i],
            [](PKDPC, PVOID context, PVOID, PVOID) { compete(*static_cast<Contest*>(context)); },
            &contest);
        KeSetTargetProcessorDpc(&dpcs[i], static_cast<CCHAR>(i));
        KeSetImportanceDpc(&dpcs[i], HighImportance);
        KeInsertQueueDpc(&dpcs[i], nullptr, nullptr);
    }
    KeFlushQueuedDpcs();
    return contest.together == 0 && contest.sum == static_cast<LONG>(50 * count);
}

constexpr std::array promises{
    Promise{"KfRaiseIrql", "returns the level before", raises_and_lowers},
    Promise{"KeLowerIrql", "brings it back", raises_and_lowers},
    Promise{"KeGetCurrentIrql", "is what was raised to", raises_and_lowers},
    Promise{"KeRaiseIrqlToDpcLevel", "raises to DISPATCH_LEVEL", raises_to_dispatch_level},
    Promise{"KeInitializeSpinLock", "it is free", spin_lock_raises_the_irql},
    Promise{"KeAcquireSpinLockRaiseToDpc", "raises to DISPATCH_LEVEL", spin_lock_raises_the_irql},
    Promise{"KeReleaseSpinLock", "brings the IRQL back", spin_lock_raises_the_irql},
    Promise{"KeTryToAcquireSpinLockAtDpcLevel", "is FALSE when it is held", spin_lock_can_be_tried},
    Promise{"KeAcquireSpinLockAtDpcLevel", "only one processor is inside",
            [] { return only_one_is_inside(false); }},
    Promise{"KeReleaseSpinLockFromDpcLevel", "frees it", spin_lock_can_be_tried},
    Promise{"KeAcquireInStackQueuedSpinLock", "raises to DISPATCH_LEVEL",
            queued_lock_raises_the_irql},
    Promise{"KeReleaseInStackQueuedSpinLock", "brings the IRQL back", queued_lock_raises_the_irql},
    Promise{"KeAcquireInStackQueuedSpinLockAtDpcLevel", "only one processor is inside",
            [] { return only_one_is_inside(true); }},
    Promise{"KeReleaseInStackQueuedSpinLockFromDpcLevel", "frees it", queued_lock_at_dpc_level},
};

KSPIN_LOCK some_lock;
KLOCK_QUEUE_HANDLE some_handle;

constexpr std::array mistakes{
    Mistake{"KfRaiseIrql", "downwards",
            [] {
                const KIRQL old = raise(HIGH_LEVEL);
                raise(DISPATCH_LEVEL);
                lower(old);
            },
            "IrqlWrongWay"},
    Mistake{"KeRaiseIrqlToDpcLevel", "downwards",
            [] {
                const KIRQL old = raise(HIGH_LEVEL);
                raise_to_dispatch();
                lower(old);
            },
            "IrqlWrongWay"},
    Mistake{"KeLowerIrql", "upwards",
            [] {
                lower(DISPATCH_LEVEL);
                lower(PASSIVE_LEVEL);
            },
            "IrqlWrongWay"},
    Mistake{"KeAcquireSpinLockRaiseToDpc", "above DISPATCH_LEVEL",
            [] {
                KIRQL old{};
                at_irql(HIGH_LEVEL, [&] { KeAcquireSpinLock(&some_lock, &old); });
                at_irql(DISPATCH_LEVEL, [] { KeReleaseSpinLockFromDpcLevel(&some_lock); });
            },
            "IrqlTooHigh"},
    Mistake{"KeReleaseSpinLock", "at PASSIVE_LEVEL",
            [] { KeReleaseSpinLock(&some_lock, PASSIVE_LEVEL); }, "IrqlNotDispatch"},
    Mistake{"KeAcquireSpinLockAtDpcLevel", "at PASSIVE_LEVEL",
            [] {
                KeAcquireSpinLockAtDpcLevel(&some_lock);
                at_irql(DISPATCH_LEVEL, [] { KeReleaseSpinLockFromDpcLevel(&some_lock); });
            },
            "IrqlNotDispatch"},
    Mistake{"KeTryToAcquireSpinLockAtDpcLevel", "at PASSIVE_LEVEL",
            [] {
                static_cast<void>(KeTryToAcquireSpinLockAtDpcLevel(&some_lock));
                at_irql(DISPATCH_LEVEL, [] { KeReleaseSpinLockFromDpcLevel(&some_lock); });
            },
            "IrqlNotDispatch"},
    Mistake{"KeReleaseSpinLockFromDpcLevel", "at PASSIVE_LEVEL",
            [] { KeReleaseSpinLockFromDpcLevel(&some_lock); }, "IrqlNotDispatch"},
    Mistake{"KeAcquireInStackQueuedSpinLock", "above DISPATCH_LEVEL",
            [] {
                at_irql(HIGH_LEVEL,
                        [] { KeAcquireInStackQueuedSpinLock(&some_lock, &some_handle); });
                at_irql(DISPATCH_LEVEL,
                        [] { KeReleaseInStackQueuedSpinLockFromDpcLevel(&some_handle); });
            },
            "IrqlTooHigh"},
    Mistake{"KeReleaseInStackQueuedSpinLock", "at PASSIVE_LEVEL",
            [] {
                at_irql(DISPATCH_LEVEL,
                        [] { KeAcquireInStackQueuedSpinLock(&some_lock, &some_handle); });
                some_handle.OldIrql = PASSIVE_LEVEL;
                KeReleaseInStackQueuedSpinLock(&some_handle);
            },
            "IrqlNotDispatch"},
    Mistake{"KeAcquireInStackQueuedSpinLockAtDpcLevel", "at PASSIVE_LEVEL",
            [] {
                KeAcquireInStackQueuedSpinLockAtDpcLevel(&some_lock, &some_handle);
                at_irql(DISPATCH_LEVEL,
                        [] { KeReleaseInStackQueuedSpinLockFromDpcLevel(&some_handle); });
            },
            "IrqlNotDispatch"},
    Mistake{"KeReleaseInStackQueuedSpinLockFromDpcLevel", "at PASSIVE_LEVEL",
            [] {
                at_irql(DISPATCH_LEVEL,
                        [] { KeAcquireInStackQueuedSpinLockAtDpcLevel(&some_lock, &some_handle); });
                KeReleaseInStackQueuedSpinLockFromDpcLevel(&some_handle);
            },
            "IrqlNotDispatch"},
};

constexpr std::array crashes{
    Crash{"KeAcquireSpinLockRaiseToDpc", "a lock that the processor holds", "-twice",
          [] {
              KIRQL old{};
              KeAcquireSpinLock(&some_lock, &old);
              KeAcquireSpinLock(&some_lock, &old);
          },
          0x0F},
    Crash{"KeBugCheck", "with a code of the driver's", "-bug-check", [] { KeBugCheck(0x1234); },
          0x1234},
    Crash{"KeBugCheckEx", "with a code of the driver's", "-bug-check-ex",
          [] { KeBugCheckEx(0x4321, 1, 2, 3, 4); }, 0x4321},
};

constexpr std::array harmless{
    Harmless{"KeGetCurrentIrql", "any IRQL, no argument"},
    Harmless{"KeInitializeSpinLock", "any IRQL"},
};

constexpr Contract contract{"contract_locks", promises, mistakes, crashes, harmless};

}  // namespace

extern "C" NTSTATUS DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path) {
    current_irql = routine_named<KIRQL()>(L"KeGetCurrentIrql");
    raise = routine_named<KIRQL(KIRQL)>(L"KfRaiseIrql");
    raise_to_dispatch = routine_named<KIRQL()>(L"KeRaiseIrqlToDpcLevel");
    lower = routine_named<void(KIRQL)>(L"KeLowerIrql");
    return examine(contract, driver, path);
}
