// Events, mutexes, timers, and waiting for them.
#include <array>
#include <bit>

#include "tests/drivers/contract.hpp"

namespace {

using namespace hvp::tests;

constexpr NTSTATUS timed_out = STATUS_TIMEOUT;
constexpr LONGLONG millisecond = 10'000;

NTSTATUS wait(PVOID object, LONGLONG due) {
    LARGE_INTEGER timeout;
    timeout.QuadPart = due;
    return KeWaitForSingleObject(object, Executive, KernelMode, FALSE, &timeout);
}

NTSTATUS wait_for_ever(PVOID object) {
    return KeWaitForSingleObject(object, Executive, KernelMode, FALSE, nullptr);
}

LARGE_INTEGER in_milliseconds(LONGLONG count) {
    LARGE_INTEGER due;
    due.QuadPart = -count * millisecond;
    return due;
}

ULONGLONG now() {
    return KeQueryInterruptTime();
}

bool notification_event_stays_set() {
    KEVENT event;
    KeInitializeEvent(&event, NotificationEvent, TRUE);
    return wait(&event, 0) == STATUS_SUCCESS && wait_for_ever(&event) == STATUS_SUCCESS &&
           KeReadStateEvent(&event) != 0;
}

bool synchronization_event_lets_one_pass() {
    KEVENT event;
    KeInitializeEvent(&event, SynchronizationEvent, TRUE);
    return wait(&event, 0) == STATUS_SUCCESS && wait(&event, 0) == timed_out &&
           KeReadStateEvent(&event) == 0;
}

bool set_returns_the_state_before() {
    KEVENT event;
    KeInitializeEvent(&event, NotificationEvent, FALSE);
    const LONG first = KeSetEvent(&event, IO_NO_INCREMENT, FALSE);
    const LONG second = KeSetEvent(&event, IO_NO_INCREMENT, FALSE);
    return first == 0 && second != 0;
}

bool reset_returns_the_state_before() {
    KEVENT event;
    KeInitializeEvent(&event, NotificationEvent, TRUE);
    const LONG first = KeResetEvent(&event);
    return first != 0 && KeResetEvent(&event) == 0 && KeReadStateEvent(&event) == 0;
}

bool clear_clears() {
    KEVENT event;
    KeInitializeEvent(&event, NotificationEvent, TRUE);
    KeClearEvent(&event);
    return wait(&event, 0) == timed_out;
}

/// A DPC sets an event after a while, so that somebody has to wait for it.
struct Bell {
    explicit Bell(LONGLONG milliseconds, EVENT_TYPE type = NotificationEvent) {
        KeInitializeEvent(&event, type, FALSE);
        KeInitializeTimer(&timer);
        KeInitializeDpc(
            &dpc,
            [](PKDPC, PVOID context, PVOID, PVOID) {
                KeSetEvent(static_cast<PKEVENT>(context), IO_NO_INCREMENT, FALSE);
            },
            &event);
        KeSetTimer(&timer, in_milliseconds(milliseconds), &dpc);
    }
    ~Bell() {
        KeCancelTimer(&timer);
        KeFlushQueuedDpcs();
    }
    Bell(const Bell&) = delete;
    Bell& operator=(const Bell&) = delete;

    KEVENT event{};
    KTIMER timer{};
    KDPC dpc{};
};

bool wait_ends_when_a_dpc_sets_the_event() {
    const ULONGLONG start = now();
    Bell bell{3};
    const NTSTATUS status = wait_for_ever(&bell.event);
    return status == STATUS_SUCCESS && now() - start >= 3 * millisecond;
}

bool wait_is_over_before_its_timeout() {
    Bell bell{2, SynchronizationEvent};
    const ULONGLONG start = now();
    return wait(&bell.event, -500 * millisecond) == STATUS_SUCCESS &&
           now() - start < 100 * millisecond && KeReadStateEvent(&bell.event) == 0;
}

bool wait_times_out() {
    KEVENT event;
    KeInitializeEvent(&event, NotificationEvent, FALSE);
    const ULONGLONG start = now();
    const bool late = wait(&event, -4 * millisecond) == timed_out;
    const ULONGLONG waited = now() - start;
    return late && waited >= 4 * millisecond && waited <= 8 * millisecond;
}

bool wait_times_out_at_an_absolute_time() {
    KEVENT event;
    KeInitializeEvent(&event, NotificationEvent, FALSE);
    LARGE_INTEGER time;
    KeQuerySystemTime(&time);
    const bool late = wait(&event, time.QuadPart + 4 * millisecond) == timed_out;
    LARGE_INTEGER after;
    KeQuerySystemTime(&after);
    const LONGLONG waited = after.QuadPart - time.QuadPart;
    return late && waited >= 4 * millisecond && waited <= 8 * millisecond &&
           wait(&event, 1) == timed_out;  // in the year 1601
}

bool wait_with_timeout_0_is_allowed_at_dispatch_level() {
    KEVENT event;
    KeInitializeEvent(&event, SynchronizationEvent, TRUE);
    NTSTATUS first = timed_out;
    NTSTATUS second = STATUS_SUCCESS;
    at_irql(DISPATCH_LEVEL, [&] {
        first = wait(&event, 0);
        second = wait(&event, 0);
    });
    return first == STATUS_SUCCESS && second == timed_out;
}

bool delay_takes_its_time() {
    const ULONGLONG start = now();
    LARGE_INTEGER interval = in_milliseconds(5);
    const NTSTATUS status = KeDelayExecutionThread(KernelMode, FALSE, &interval);
    return status == STATUS_SUCCESS && now() - start >= 5 * millisecond;
}

bool mutex_is_free_at_first() {
    KMUTEX mutex;
    KeInitializeMutex(&mutex, 0);
    const bool was_free = KeReadStateMutex(&mutex) == 1;
    const bool got_it = wait_for_ever(&mutex) == STATUS_SUCCESS;
    const bool taken = KeReadStateMutex(&mutex) == 0;
    return was_free && got_it && taken && KeReleaseMutex(&mutex, FALSE) == 0 &&
           KeReadStateMutex(&mutex) == 1;
}

bool mutex_counts_its_owner() {
    KMUTEX mutex;
    KeInitializeMutex(&mutex, 0);
    wait_for_ever(&mutex);
    const bool again = wait(&mutex, 0) == STATUS_SUCCESS;
    const bool not_free_yet = KeReleaseMutex(&mutex, FALSE) != 0;
    const bool still_taken = KeReadStateMutex(&mutex) == 0;
    return again && not_free_yet && still_taken && KeReleaseMutex(&mutex, FALSE) == 0;
}

bool timer_expires() {
    KTIMER timer;
    KeInitializeTimer(&timer);
    const bool at_first = KeSetTimer(&timer, in_milliseconds(3), nullptr);
    const bool early = KeReadStateTimer(&timer);
    const bool waited = wait_for_ever(&timer) == STATUS_SUCCESS;
    return !at_first && !early && waited && KeReadStateTimer(&timer) && !KeCancelTimer(&timer);
}

bool timer_can_be_cancelled() {
    KTIMER timer;
    KeInitializeTimer(&timer);
    KeSetTimer(&timer, in_milliseconds(3), nullptr);
    const bool armed = KeSetTimer(&timer, in_milliseconds(4), nullptr);
    const bool cancelled = KeCancelTimer(&timer);
    LARGE_INTEGER interval = in_milliseconds(8);
    KeDelayExecutionThread(KernelMode, FALSE, &interval);
    return armed && cancelled && !KeCancelTimer(&timer) && !KeReadStateTimer(&timer);
}

bool synchronization_timer_lets_one_pass() {
    KTIMER timer;
    KeInitializeTimerEx(&timer, SynchronizationTimer);
    KeSetTimer(&timer, in_milliseconds(1), nullptr);
    return wait_for_ever(&timer) == STATUS_SUCCESS && wait(&timer, 0) == timed_out;
}

bool periodic_timer_comes_again() {
    struct Ticks {
        volatile LONG count = 0;
        KDPC dpc{};
    } ticks;
    KTIMER timer;
    KeInitializeTimerEx(&timer, SynchronizationTimer);
    KeInitializeDpc(
        &ticks.dpc,
        [](PKDPC, PVOID context, PVOID, PVOID) {
            InterlockedIncrement(&static_cast<Ticks*>(context)->count);
        },
        &ticks);
    const ULONGLONG start = now();
    KeSetTimerEx(&timer, in_milliseconds(2), 3, &ticks.dpc);
    for (int i = 0; i < 5; ++i) {
        wait_for_ever(&timer);
    }
    const ULONGLONG waited = now() - start;
    const bool armed = KeCancelTimer(&timer);
    KeFlushQueuedDpcs();
    return armed && waited >= 14 * millisecond && waited <= 20 * millisecond && ticks.count == 5;
}

constexpr std::array promises{
    Promise{"KeInitializeEvent", "a notification event stays set", notification_event_stays_set},
    Promise{"KeInitializeEvent", "a synchronization event lets one pass",
            synchronization_event_lets_one_pass},
    Promise{"KeSetEvent", "returns the state before", set_returns_the_state_before},
    Promise{"KeSetEvent", "ends a wait, from a DPC", wait_ends_when_a_dpc_sets_the_event},
    Promise{"KeResetEvent", "returns the state before", reset_returns_the_state_before},
    Promise{"KeClearEvent", "clears", clear_clears},
    Promise{"KeReadStateEvent", "is not 0 when it is set", notification_event_stays_set},
    Promise{"KeWaitForSingleObject", "is over before its timeout", wait_is_over_before_its_timeout},
    Promise{"KeWaitForSingleObject", "a relative timeout", wait_times_out},
    Promise{"KeWaitForSingleObject", "an absolute timeout", wait_times_out_at_an_absolute_time},
    Promise{"KeWaitForSingleObject", "timeout 0 at DISPATCH_LEVEL",
            wait_with_timeout_0_is_allowed_at_dispatch_level},
    Promise{"KeDelayExecutionThread", "takes its time", delay_takes_its_time},
    Promise{"KeInitializeMutex", "it is free", mutex_is_free_at_first},
    Promise{"KeReleaseMutex", "as often as it was acquired", mutex_counts_its_owner},
    Promise{"KeReadStateMutex", "is 1 when it is free", mutex_is_free_at_first},
    Promise{"KeInitializeTimer", "a notification timer stays signaled", timer_expires},
    Promise{"KeInitializeTimerEx", "a synchronization timer lets one pass",
            synchronization_timer_lets_one_pass},
    Promise{"KeSetTimer", "it expires in time", timer_expires},
    Promise{"KeSetTimerEx", "it comes again and again", periodic_timer_comes_again},
    Promise{"KeCancelTimer", "is TRUE if it was armed", timer_can_be_cancelled},
    Promise{"KeReadStateTimer", "is TRUE when it has expired", timer_expires},
};

KEVENT some_event;
KMUTEX some_mutex;
KTIMER some_timer;

/// At HIGH_LEVEL, with objects that are ready for it.
template <typename Work>
void too_high(Work work) {
    KeInitializeEvent(&some_event, NotificationEvent, TRUE);
    KeInitializeTimer(&some_timer);
    KeInitializeMutex(&some_mutex, 0);
    at_irql(HIGH_LEVEL, work);
}

constexpr std::array mistakes{
    Mistake{"KeSetEvent", "at HIGH_LEVEL",
            [] { too_high([] { KeSetEvent(&some_event, 0, FALSE); }); }, "IrqlTooHigh"},
    Mistake{"KeSetEvent", "with Wait at DISPATCH_LEVEL",
            [] {
                KeInitializeEvent(&some_event, NotificationEvent, FALSE);
                at_irql(DISPATCH_LEVEL, [] { KeSetEvent(&some_event, 0, TRUE); });
            },
            "IrqlTooHigh"},
    Mistake{"KeResetEvent", "at HIGH_LEVEL", [] { too_high([] { KeResetEvent(&some_event); }); },
            "IrqlTooHigh"},
    Mistake{"KeClearEvent", "at HIGH_LEVEL", [] { too_high([] { KeClearEvent(&some_event); }); },
            "IrqlTooHigh"},
    Mistake{"KeReadStateEvent", "at HIGH_LEVEL",
            [] { too_high([] { KeReadStateEvent(&some_event); }); }, "IrqlTooHigh"},
    Mistake{"KeWaitForSingleObject", "at DISPATCH_LEVEL, for what is there",
            [] {
                KeInitializeEvent(&some_event, NotificationEvent, TRUE);
                at_irql(DISPATCH_LEVEL, [] { wait_for_ever(&some_event); });
            },
            "IrqlTooHigh"},
    Mistake{"KeReleaseMutex", "above DISPATCH_LEVEL",
            [] {
                KeInitializeMutex(&some_mutex, 0);
                wait_for_ever(&some_mutex);
                at_irql(HIGH_LEVEL, [] { KeReleaseMutex(&some_mutex, FALSE); });
            },
            "IrqlTooHigh"},
    Mistake{"KeReadStateMutex", "at HIGH_LEVEL",
            [] { too_high([] { KeReadStateMutex(&some_mutex); }); }, "IrqlTooHigh"},
    Mistake{"KeInitializeTimer", "at HIGH_LEVEL",
            [] { too_high([] { KeInitializeTimer(&some_timer); }); }, "IrqlTooHigh"},
    Mistake{"KeInitializeTimerEx", "at HIGH_LEVEL",
            [] { too_high([] { KeInitializeTimerEx(&some_timer, NotificationTimer); }); },
            "IrqlTooHigh"},
    Mistake{"KeSetTimer", "at HIGH_LEVEL",
            [] {
                too_high([] { KeSetTimer(&some_timer, in_milliseconds(100), nullptr); });
                KeCancelTimer(&some_timer);
            },
            "IrqlTooHigh"},
    Mistake{"KeSetTimerEx", "at HIGH_LEVEL",
            [] {
                too_high([] { KeSetTimerEx(&some_timer, in_milliseconds(100), 0, nullptr); });
                KeCancelTimer(&some_timer);
            },
            "IrqlTooHigh"},
    Mistake{"KeCancelTimer", "at HIGH_LEVEL", [] { too_high([] { KeCancelTimer(&some_timer); }); },
            "IrqlTooHigh"},
    Mistake{"KeReadStateTimer", "at HIGH_LEVEL",
            [] { too_high([] { KeReadStateTimer(&some_timer); }); }, "IrqlTooHigh"},
    Mistake{"KeSetTimer", "armed at the end",
            [] {
                KeInitializeTimer(&some_timer);
                KeSetTimer(&some_timer, in_milliseconds(60'000), nullptr);
            },
            "TimerLeft"},
};

constexpr std::array crashes{
    Crash{"KeWaitForSingleObject", "at DISPATCH_LEVEL", "-wait",
          [] {
              KeInitializeEvent(&some_event, NotificationEvent, FALSE);
              at_irql(DISPATCH_LEVEL, [] { wait(&some_event, -millisecond); });
          },
          0xB8},
    Crash{"KeDelayExecutionThread", "at DISPATCH_LEVEL", "-delay",
          [] {
              at_irql(DISPATCH_LEVEL, [] {
                  LARGE_INTEGER interval = in_milliseconds(1);
                  KeDelayExecutionThread(KernelMode, FALSE, &interval);
              });
          },
          0xB8},
    Crash{"KeReleaseMutex", "a mutex that somebody else owns, or nobody", "-release",
          [] {
              KeInitializeMutex(&some_mutex, 0);
              KeReleaseMutex(&some_mutex, FALSE);
          },
          0x7E},
};

constexpr std::array harmless{
    Harmless{"KeInitializeEvent", "any IRQL"},
    Harmless{"KeInitializeMutex", "any IRQL"},
};

constexpr Contract contract{"contract_wait", promises, mistakes, crashes, harmless};

}  // namespace

extern "C" NTSTATUS DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path) {
    return examine(contract, driver, path);
}
