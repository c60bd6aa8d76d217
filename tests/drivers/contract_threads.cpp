// Threads that a driver starts, and what it does with them.
#include <array>
#include <bit>

#include "tests/drivers/contract.hpp"

extern "C" {
NTKERNELAPI LONG NTAPI KeQueryPriorityThread(PKTHREAD Thread);
// The slot in the import table, as in contract_ob.cpp.
extern POBJECT_TYPE* const thread_type_slot __asm__("__imp_PsThreadType");
}

namespace {

using namespace hvp::tests;

constexpr LONGLONG millisecond = 10'000;

/// A thread that can be waited for.
class Thread {
public:
    Thread(PKSTART_ROUTINE routine, PVOID context) {
        HANDLE handle{};
        status_ = PsCreateSystemThread(&handle, THREAD_ALL_ACCESS, nullptr, nullptr, &id_, routine,
                                       context);
        if (NT_SUCCESS(status_)) {
            status_ = ObReferenceObjectByHandle(handle, SYNCHRONIZE, *thread_type_slot, KernelMode,
                                                &object_, nullptr);
            ZwClose(handle);
        }
    }
    ~Thread() {
        static_cast<void>(join());
        if (object_ != nullptr) {
            ObDereferenceObject(object_);
        }
    }
    Thread(const Thread&) = delete;
    Thread& operator=(const Thread&) = delete;

    [[nodiscard]] bool join() const {
        return NT_SUCCESS(status_) && KeWaitForSingleObject(object_, Executive, KernelMode, FALSE,
                                                            nullptr) == STATUS_SUCCESS;
    }
    [[nodiscard]] bool runs() const {
        LARGE_INTEGER none{};
        return KeWaitForSingleObject(object_, Executive, KernelMode, FALSE, &none) ==
               STATUS_TIMEOUT;
    }
    [[nodiscard]] PKTHREAD object() const { return static_cast<PKTHREAD>(object_); }
    [[nodiscard]] HANDLE id() const { return id_.UniqueThread; }

private:
    NTSTATUS status_{};
    PVOID object_{};
    CLIENT_ID id_{};
};

bool starts_with_its_context_at_passive_level() {
    struct Seen {
        volatile LONG calls = 0;
        KIRQL irql = HIGH_LEVEL;
        PKTHREAD thread = nullptr;
        HANDLE id = nullptr;
        ULONG64 stack = 0;
    } seen;
    const Thread thread{[](PVOID context) {
                            auto& here = *static_cast<Seen*>(context);
                            here.irql = KeGetCurrentIrql();
                            here.thread = KeGetCurrentThread();
                            here.id = PsGetCurrentThreadId();
                            const auto at = std::bit_cast<ULONG64>(here.thread);
                            here.stack = *std::bit_cast<ULONG64*>(at + 0x38) -
                                         *std::bit_cast<ULONG64*>(at + 0x30);
                            InterlockedIncrement(&here.calls);
                        },
                        &seen};
    return thread.join() && seen.calls == 1 && seen.irql == PASSIVE_LEVEL &&
           seen.thread == thread.object() && seen.id == thread.id() &&
           seen.thread != KeGetCurrentThread() && seen.id != PsGetCurrentThreadId() &&
           seen.stack == KERNEL_STACK_SIZE;
}

bool is_signaled_when_it_has_ended() {
    KEVENT go;
    KeInitializeEvent(&go, NotificationEvent, FALSE);
    const Thread thread{
        [](PVOID event) { KeWaitForSingleObject(event, Executive, KernelMode, FALSE, nullptr); },
        &go};
    LARGE_INTEGER interval;
    interval.QuadPart = -2 * millisecond;
    KeDelayExecutionThread(KernelMode, FALSE, &interval);
    const bool waited = thread.runs();
    KeSetEvent(&go, IO_NO_INCREMENT, FALSE);
    return waited && thread.join() && !thread.runs();
}

bool can_end_itself() {
    volatile LONG calls = 0;
    const Thread thread{[](PVOID context) {
                            InterlockedIncrement(static_cast<volatile LONG*>(context));
                            PsTerminateSystemThread(STATUS_SUCCESS);
                            InterlockedIncrement(static_cast<volatile LONG*>(context));
                        },
                        const_cast<LONG*>(&calls)};
    return thread.join() && calls == 1;
}

/// Busy threads, more than processors: each makes progress.
bool busy_threads_share_the_processors() {
    struct Shared {
        volatile LONG present = 0;
        LONG expected = 0;
    } shared;
    constexpr std::size_t more_than_processors = 10;
    shared.expected = more_than_processors;
    const auto meet = [](PVOID context) {
        auto& all = *static_cast<Shared*>(context);
        InterlockedIncrement(&all.present);
        while (all.present != all.expected) {
            static_cast<void>(opaque(0));
        }
    };
    const std::array<Thread, more_than_processors> threads{
        Thread{meet, &shared}, Thread{meet, &shared}, Thread{meet, &shared}, Thread{meet, &shared},
        Thread{meet, &shared}, Thread{meet, &shared}, Thread{meet, &shared}, Thread{meet, &shared},
        Thread{meet, &shared}, Thread{meet, &shared}};
    bool all_ended = true;
    for (const Thread& thread : threads) {
        all_ended &= thread.join();
    }
    return all_ended;
}

bool threads_exclude_each_other_by_a_mutex() {
    struct Shared {
        KMUTEX mutex{};
        volatile LONG inside = 0;
        LONG broken = 0;
        LONG sum = 0;
    } shared;
    KeInitializeMutex(&shared.mutex, 0);
    const auto count = [](PVOID context) {
        auto& all = *static_cast<Shared*>(context);
        for (int i = 0; i < 20; ++i) {
            KeWaitForSingleObject(&all.mutex, Executive, KernelMode, FALSE, nullptr);
            all.broken += InterlockedIncrement(&all.inside) != 1;
            KeStallExecutionProcessor(100);
            ++all.sum;
            InterlockedDecrement(&all.inside);
            KeReleaseMutex(&all.mutex, FALSE);
        }
    };
    const Thread first{count, &shared};
    const Thread second{count, &shared};
    const Thread third{count, &shared};
    return first.join() && second.join() && third.join() && shared.sum == 60 && shared.broken == 0;
}

bool higher_priority_runs_first() {
    const LONG before = KeQueryPriorityThread(KeGetCurrentThread());
    const LONG returned = KeSetPriorityThread(KeGetCurrentThread(), LOW_REALTIME_PRIORITY);
    const bool is_set = KeQueryPriorityThread(KeGetCurrentThread()) == LOW_REALTIME_PRIORITY;
    // On one processor a thread of lower priority does not run while this one does.
    KeSetSystemAffinityThread(1);
    volatile LONG calls = 0;
    const Thread thread{
        [](PVOID context) { InterlockedIncrement(static_cast<volatile LONG*>(context)); },
        const_cast<LONG*>(&calls)};
    KeStallExecutionProcessor(5000);
    const bool waited = calls == 0 || KeQueryActiveProcessorCount(nullptr) > 1;
    KeRevertToUserAffinityThread();
    KeSetPriorityThread(KeGetCurrentThread(), before);
    return before == 8 && returned == before && is_set && waited && thread.join();
}

void set_xmm3(ULONG64 value) {
    asm volatile("movq %[value], %%xmm3" : : [value] "r"(value) : "xmm3");
}

ULONG64 xmm3() {
    ULONG64 value{};
    asm volatile("movq %%xmm3, %[value]" : [value] "=r"(value));
    return value;
}

/// What a thread puts into a vector register, 0: nothing, and whether it finds it there again and
/// again, after others have run on its processor.
struct Keeper {
    ULONG64 value = 0;
    volatile LONG kept = 0;
};

void NTAPI keep_xmm3(PVOID context) {
    auto& keeper = *static_cast<Keeper*>(context);
    constexpr LONG rounds = 5;
    KeSetSystemAffinityThread(1);
    if (keeper.value != 0) {
        set_xmm3(keeper.value);
    }
    bool kept = true;
    for (LONG i = 0; i < rounds; ++i) {
        LARGE_INTEGER soon;
        soon.QuadPart = -millisecond;
        KeDelayExecutionThread(KernelMode, FALSE, &soon);
        kept = kept && xmm3() == keeper.value;
    }
    keeper.kept = kept ? 1 : 0;
}

bool each_thread_keeps_its_vector_registers() {
    std::array<Keeper, 3> keepers{Keeper{0x1111'2222'3333'4444}, Keeper{}, Keeper{~0ULL}};
    {
        const Thread first{keep_xmm3, &keepers[0]};
        const Thread second{keep_xmm3, &keepers[1]};
        const Thread third{keep_xmm3, &keepers[2]};
    }
    return keepers[0].kept == 1 && keepers[1].kept == 1 && keepers[2].kept == 1;
}

constexpr std::array promises{
    Promise{"PsCreateSystemThread", "starts at PASSIVE_LEVEL with its context",
            starts_with_its_context_at_passive_level},
    Promise{"PsCreateSystemThread", "is signaled when it has ended", is_signaled_when_it_has_ended},
    Promise{"PsCreateSystemThread", "busy threads share the processors",
            busy_threads_share_the_processors},
    Promise{"PsCreateSystemThread", "each thread has vector registers of its own",
            each_thread_keeps_its_vector_registers},
    Promise{"KeReleaseMutex", "threads exclude each other", threads_exclude_each_other_by_a_mutex},
    Promise{"PsTerminateSystemThread", "does not return", can_end_itself},
    Promise{"PsGetCurrentThreadId", "is the one that PsCreateSystemThread gave",
            starts_with_its_context_at_passive_level},
    Promise{"PsThreadType", "is the type of a thread", can_end_itself},
    Promise{"KeSetPriorityThread", "the higher one runs first", higher_priority_runs_first},
    Promise{"KeQueryPriorityThread", "is what was set", higher_priority_runs_first},
};

void wait_for_ever(PVOID) {
    KEVENT never;
    KeInitializeEvent(&never, NotificationEvent, FALSE);
    KeWaitForSingleObject(&never, Executive, KernelMode, FALSE, nullptr);
}

constexpr std::array mistakes{
    Mistake{"PsCreateSystemThread", "at DISPATCH_LEVEL",
            [] {
                HANDLE handle{};
                at_irql(DISPATCH_LEVEL, [&] {
                    PsCreateSystemThread(
                        &handle, THREAD_ALL_ACCESS, nullptr, nullptr, nullptr, [](PVOID) {},
                        nullptr);
                });
                ZwClose(handle);
            },
            "IrqlTooHigh"},
    Mistake{"PsTerminateSystemThread", "on DriverEntry's thread",
            [] { PsTerminateSystemThread(STATUS_SUCCESS); }, "ForeignThread"},
    Mistake{"KeSetPriorityThread", "at DISPATCH_LEVEL",
            [] { at_irql(DISPATCH_LEVEL, [] { KeSetPriorityThread(KeGetCurrentThread(), 8); }); },
            "IrqlTooHigh"},
    Mistake{"KeQueryPriorityThread", "at HIGH_LEVEL",
            [] { at_irql(HIGH_LEVEL, [] { KeQueryPriorityThread(KeGetCurrentThread()); }); },
            "IrqlTooHigh"},
    Mistake{"PsCreateSystemThread", "ends at a raised IRQL",
            [] {
                const Thread thread{[](PVOID) {
                                        KIRQL old{};
                                        KeRaiseIrql(DISPATCH_LEVEL, &old);
                                    },
                                    nullptr};
            },
            "IrqlAtThreadEnd"},
    Mistake{"PsCreateSystemThread", "waits at the end",
            [] {
                HANDLE handle{};
                PsCreateSystemThread(&handle, THREAD_ALL_ACCESS, nullptr, nullptr, nullptr,
                                     wait_for_ever, nullptr);
                ZwClose(handle);
            },
            "ThreadLeft"},
};

constexpr std::array crashes{
    Crash{"PsTerminateSystemThread", "with a mutex", "-with-mutex",
          [] {
              static KMUTEX mutex;
              KeInitializeMutex(&mutex, 0);
              const Thread thread{[](PVOID) {
                                      KeWaitForSingleObject(&mutex, Executive, KernelMode, FALSE,
                                                            nullptr);
                                      PsTerminateSystemThread(STATUS_SUCCESS);
                                  },
                                  nullptr};
          },
          0x4000'008A},
};

constexpr std::array harmless{
    Harmless{"PsGetCurrentThreadId", "any IRQL, no argument"},
    Harmless{"PsThreadType", "data"},
};

constexpr Contract contract{"contract_threads", promises, mistakes, crashes, harmless};

}  // namespace

extern "C" NTSTATUS DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path) {
    return examine(contract, driver, path);
}
