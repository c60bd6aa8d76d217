// A hundred thousand of each (as the service stress-quarter, a quarter; as stress-few, a thousand):
// DPCs, interrupts between processors, timer expiries, changes of thread, pool allocations, on all
// processors at the same time. What was asked for is counted, and must have come.
#include <array>
#include <bit>
#include <cstdint>
#include <span>

#include "platform/windows/nt.hpp"
#include "tests/drivers/service_name.hpp"

extern "C" NTKERNELAPI PVOID NTAPI ExAllocatePool2(ULONG64 Flags, SIZE_T NumberOfBytes, ULONG Tag);
// The slot in the import table; mingw-w64's headers are one indirection off.
extern "C" POBJECT_TYPE* const thread_type_slot __asm__("__imp_PsThreadType");

namespace {

constinit LONG wanted = 100'000;
constexpr LONG quarter = 25'000;
constexpr LONG few = 1'000;
constexpr ULONG most_processors = 8;
constexpr ULONG tag = 'ertS';

/// What happened; every processor adds to it.
struct Counts {
    LONG dpcs = 0;
    LONG interrupts = 0;
    LONG expiries = 0;
    LONG switches = 0;
    LONG allocations = 0;
    LONG wrong = 0;
};

constinit Counts counts{};

void add(LONG& count, LONG more = 1) {
    __atomic_fetch_add(&count, more, __ATOMIC_RELAXED);
}

LONG read(const LONG& count) {
    return __atomic_load_n(&count, __ATOMIC_ACQUIRE);
}

ULONG processors() {
    return KeQueryActiveProcessorCount(nullptr);
}

/// One thread for each processor, bound to it.
void on_every_processor(PKSTART_ROUTINE routine) {
    std::array<PVOID, most_processors> threads{};
    for (ULONG i = 0; i < processors(); ++i) {
        HANDLE handle{};
        PsCreateSystemThread(&handle, THREAD_ALL_ACCESS, nullptr, nullptr, nullptr, routine,
                             std::bit_cast<PVOID>(std::uint64_t{i}));
        ObReferenceObjectByHandle(handle, SYNCHRONIZE, *thread_type_slot, KernelMode, &threads[i],
                                  nullptr);
        ZwClose(handle);
    }
    for (ULONG i = 0; i < processors(); ++i) {
        KeWaitForSingleObject(threads[i], Executive, KernelMode, FALSE, nullptr);
        ObDereferenceObject(threads[i]);
    }
}

ULONG bind(PVOID context) {
    const auto number = static_cast<ULONG>(std::bit_cast<std::uint64_t>(context));
    KeSetSystemAffinityThread(KAFFINITY{1} << number);
    return number;
}

/// The number of turns of processor `number` when all together make `total`.
LONG share_of(LONG total, ULONG number) {
    const auto count = static_cast<LONG>(processors());
    return total / count + (static_cast<LONG>(number) < total % count ? 1 : 0);
}

// Each DPC is queued to the next processor; its routine tells the one that waits for it.
struct Errand {
    KDPC dpc{};
    LONG done = 0;
};
constinit std::array<Errand, most_processors> errands{};

void NTAPI run_errand(PKDPC, PVOID context, PVOID, PVOID) {
    add(counts.dpcs);
    add(static_cast<Errand*>(context)->done);
}

void send_dpcs(PVOID context) {
    const ULONG number = bind(context);
    Errand& errand = errands[number];
    KeInitializeDpc(&errand.dpc, run_errand, &errand);
    KeSetImportanceDpc(&errand.dpc, HighImportance);
    KeSetTargetProcessorDpc(&errand.dpc, static_cast<CCHAR>((number + 1) % processors()));
    for (LONG i = 1; i <= share_of(wanted, number); ++i) {
        if (!KeInsertQueueDpc(&errand.dpc, nullptr, nullptr)) {
            add(counts.wrong);
        }
        while (read(errand.done) != i) {
        }
    }
}

ULONG_PTR NTAPI on_interrupt(ULONG_PTR) {
    add(counts.interrupts);
    return 0;
}

void send_interrupts(PVOID context) {
    const ULONG number = bind(context);
    const LONG calls = (wanted + static_cast<LONG>(processors()) - 1) /
                       static_cast<LONG>(processors());  // each comes to all processors
    for (LONG i = 0; i < share_of(calls, number); ++i) {
        KeIpiGenericCall(on_interrupt, 0);
    }
}

// Many timers a millisecond.
constexpr LONG rounds = 20;
constexpr LONG timers_at_once = 5'000;
struct Alarm {
    KTIMER timer{};
    KDPC dpc{};
    LONG left = 0;
};
constinit std::array<Alarm, timers_at_once> alarms{};
constinit KEVENT all_rung{};

void NTAPI on_expiry(PKDPC, PVOID context, PVOID, PVOID) {
    auto& alarm = *static_cast<Alarm*>(context);
    add(counts.expiries);
    if (--alarm.left > 0) {
        LARGE_INTEGER due;
        due.QuadPart = -1;
        KeSetTimer(&alarm.timer, due, &alarm.dpc);
    } else if (read(counts.expiries) == wanted) {
        KeSetEvent(&all_rung, IO_NO_INCREMENT, FALSE);
    }
}

void let_timers_expire() {
    KeInitializeEvent(&all_rung, NotificationEvent, FALSE);
    ULONG target = 0;
    for (Alarm& alarm : std::span{alarms}.first(static_cast<std::size_t>(wanted / rounds))) {
        alarm.left = rounds;
        KeInitializeTimer(&alarm.timer);
        KeInitializeDpc(&alarm.dpc, on_expiry, &alarm);
        KeSetTargetProcessorDpc(&alarm.dpc, static_cast<CCHAR>(target++ % processors()));
        LARGE_INTEGER due;
        due.QuadPart = -1;
        KeSetTimer(&alarm.timer, due, &alarm.dpc);
    }
    KeWaitForSingleObject(&all_rung, Executive, KernelMode, FALSE, nullptr);
}

// Two threads on each processor, which wait for one another: each turn is a change of thread.
struct Pair {
    KEVENT ping{};
    KEVENT pong{};
};
constinit std::array<Pair, most_processors> pairs{};

void answer(PVOID context) {
    const ULONG number = bind(context);
    for (LONG i = 0; i < share_of(wanted / 2, number); ++i) {
        KeWaitForSingleObject(&pairs[number].ping, Executive, KernelMode, FALSE, nullptr);
        add(counts.switches);
        KeSetEvent(&pairs[number].pong, IO_NO_INCREMENT, FALSE);
    }
}

void ask(PVOID context) {
    const ULONG number = bind(context);
    Pair& pair = pairs[number];
    KeInitializeEvent(&pair.ping, SynchronizationEvent, FALSE);
    KeInitializeEvent(&pair.pong, SynchronizationEvent, FALSE);
    HANDLE handle{};
    PsCreateSystemThread(&handle, THREAD_ALL_ACCESS, nullptr, nullptr, nullptr, answer, context);
    for (LONG i = 0; i < share_of(wanted / 2, number); ++i) {
        KeSetEvent(&pair.ping, IO_NO_INCREMENT, FALSE);
        KeWaitForSingleObject(&pair.pong, Executive, KernelMode, FALSE, nullptr);
        add(counts.switches);
    }
    PVOID thread{};
    ObReferenceObjectByHandle(handle, SYNCHRONIZE, *thread_type_slot, KernelMode, &thread, nullptr);
    ZwClose(handle);
    KeWaitForSingleObject(thread, Executive, KernelMode, FALSE, nullptr);
    ObDereferenceObject(thread);
}

void allocate(PVOID context) {
    const ULONG number = bind(context);
    constexpr ULONG64 nonpaged = 0x40;
    for (LONG i = 0; i < share_of(wanted, number); ++i) {
        const SIZE_T bytes = 16 + static_cast<SIZE_T>(i) % 64 * 16;
        auto* const block = static_cast<volatile ULONG*>(ExAllocatePool2(nonpaged, bytes, tag));
        if (block == nullptr || *block != 0) {
            add(counts.wrong);
            return;
        }
        *block = number + 1;
        add(counts.allocations);
        if (*block != number + 1) {
            add(counts.wrong);
        }
        ExFreePoolWithTag(const_cast<ULONG*>(block), tag);
    }
}

void tell(const char* what, LONG count, ULONG64 since) {
    DbgPrintEx(DPFLTR_IHVDRIVER_ID, DPFLTR_INFO_LEVEL,
               "Stress of=%s count=%d milliseconds=%u wrong=%d\n", what, read(count),
               static_cast<ULONG>((KeQueryInterruptTime() - since) / 10'000), read(counts.wrong));
}

void on_unload(PDRIVER_OBJECT) {}

}  // namespace

extern "C" NTSTATUS DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path) {
    if (hvp::tests::is_service(*path, "stress-", "few")) {
        wanted = few;
    } else if (hvp::tests::is_service(*path, "stress-", "quarter")) {
        wanted = quarter;
    }
    driver->DriverUnload = on_unload;
    const auto measure = [](const char* what, const LONG& count, auto work) {
        const ULONG64 start = KeQueryInterruptTime();
        work();
        tell(what, count, start);
    };
    measure("dpcs", counts.dpcs, [] { on_every_processor(send_dpcs); });
    measure("interrupts", counts.interrupts, [] { on_every_processor(send_interrupts); });
    measure("expiries", counts.expiries, let_timers_expire);
    measure("switches", counts.switches, [] { on_every_processor(ask); });
    measure("allocations", counts.allocations, [] { on_every_processor(allocate); });
    KeFlushQueuedDpcs();
    return read(counts.wrong) == 0 ? STATUS_SUCCESS : STATUS_UNSUCCESSFUL;
}
