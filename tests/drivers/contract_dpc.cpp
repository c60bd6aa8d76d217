// DPCs, and the calls that run one routine on all processors.
#include <array>
#include <bit>

#include "tests/drivers/contract.hpp"

extern "C" {
NTKERNELAPI VOID NTAPI KeGenericCallDpc(PKDEFERRED_ROUTINE Routine, PVOID Context);
NTKERNELAPI VOID NTAPI KeSignalCallDpcDone(PVOID SystemArgument1);
NTKERNELAPI LOGICAL NTAPI KeSignalCallDpcSynchronize(PVOID SystemArgument2);
}

namespace {

using namespace hvp::tests;

/// What a DPC routine has seen.
struct Seen {
    volatile LONG calls = 0;
    volatile LONG sum = 0;
    volatile LONG wrong_irql = 0;
    volatile ULONG processor = 0;
    volatile LONG64 processors = 0;
};

void NTAPI note(PKDPC, PVOID context, PVOID argument_1, PVOID argument_2) {
    auto& seen = *static_cast<Seen*>(context);
    seen.processor = KeGetCurrentProcessorNumberEx(nullptr);
    __atomic_fetch_or(&seen.processors, LONG64{1} << seen.processor, __ATOMIC_ACQ_REL);
    if (KeGetCurrentIrql() != DISPATCH_LEVEL) {
        InterlockedIncrement(&seen.wrong_irql);
    }
    InterlockedExchangeAdd(&seen.sum, static_cast<LONG>(std::bit_cast<LONG64>(argument_1) +
                                                        std::bit_cast<LONG64>(argument_2)));
    InterlockedIncrement(&seen.calls);
}

PVOID number(LONG64 value) {
    return std::bit_cast<PVOID>(value);
}

LONG64 all_processors() {
    return static_cast<LONG64>(KeQueryActiveProcessors());
}

ULONG last_processor() {
    return KeQueryActiveProcessorCount(nullptr) - 1;
}

bool runs_with_its_arguments() {
    Seen seen;
    KDPC dpc;
    KeInitializeDpc(&dpc, note, &seen);
    const bool queued = KeInsertQueueDpc(&dpc, number(40), number(2));
    KeFlushQueuedDpcs();
    return queued && seen.calls == 1 && seen.sum == 42 && seen.wrong_irql == 0;
}

bool waits_for_the_irql() {
    Seen seen;
    KDPC dpc;
    KeInitializeDpc(&dpc, note, &seen);
    KIRQL old{};
    KeRaiseIrql(DISPATCH_LEVEL, &old);
    KeInsertQueueDpc(&dpc, nullptr, nullptr);
    KeStallExecutionProcessor(20);
    const bool waited = seen.calls == 0;
    KeLowerIrql(old);
    KeStallExecutionProcessor(20);
    return waited && seen.calls == 1;
}

bool is_queued_once() {
    Seen seen;
    KDPC dpc;
    KeInitializeDpc(&dpc, note, &seen);
    bool first = false;
    bool second = true;
    at_irql(DISPATCH_LEVEL, [&] {
        first = KeInsertQueueDpc(&dpc, number(1), nullptr);
        second = KeInsertQueueDpc(&dpc, number(100), nullptr);
    });
    KeFlushQueuedDpcs();
    return first && !second && seen.calls == 1 && seen.sum == 1;
}

bool queues_itself_again() {
    struct Again {
        KDPC dpc{};
        volatile LONG left = 10;
    } again;
    KeInitializeDpc(
        &again.dpc,
        [](PKDPC dpc, PVOID context, PVOID, PVOID) {
            if (InterlockedDecrement(&static_cast<Again*>(context)->left) > 0) {
                KeInsertQueueDpc(dpc, nullptr, nullptr);
            }
        },
        &again);
    KeInsertQueueDpc(&again.dpc, nullptr, nullptr);
    KeFlushQueuedDpcs();
    return again.left == 0;
}

bool can_be_removed() {
    Seen seen;
    KDPC dpc;
    KeInitializeDpc(&dpc, note, &seen);
    bool removed = false;
    bool twice = true;
    at_irql(HIGH_LEVEL, [&] {
        KeInsertQueueDpc(&dpc, nullptr, nullptr);
        removed = KeRemoveQueueDpc(&dpc);
        twice = KeRemoveQueueDpc(&dpc);
    });
    KeFlushQueuedDpcs();
    return removed && !twice && seen.calls == 0;
}

bool goes_to_its_processor() {
    for (ULONG i = 0; i <= last_processor(); ++i) {
        Seen seen;
        KDPC dpc;
        KeInitializeDpc(&dpc, note, &seen);
        PROCESSOR_NUMBER target{};
        target.Number = static_cast<UCHAR>(i);
        if (!NT_SUCCESS(KeSetTargetProcessorDpcEx(&dpc, &target))) {
            return false;
        }
        KeInsertQueueDpc(&dpc, nullptr, nullptr);
        KeFlushQueuedDpcs();
        if (seen.calls != 1 || seen.processor != i) {
            return false;
        }
    }
    return true;
}

bool refuses_other_processors() {
    KDPC dpc;
    KeInitializeDpc(&dpc, note, nullptr);
    PROCESSOR_NUMBER target{};
    target.Number = static_cast<UCHAR>(last_processor() + 1);
    const auto beyond = static_cast<ULONG>(KeSetTargetProcessorDpcEx(&dpc, &target));
    target.Number = 0;
    target.Group = 1;
    const auto elsewhere = static_cast<ULONG>(KeSetTargetProcessorDpcEx(&dpc, &target));
    return beyond == 0xC000'000D && elsewhere == 0xC000'000D;
}

bool old_call_sets_the_target_too() {
    Seen seen;
    KDPC dpc;
    KeInitializeDpc(&dpc, note, &seen);
    KeSetTargetProcessorDpc(&dpc, static_cast<CCHAR>(last_processor()));
    KeInsertQueueDpc(&dpc, nullptr, nullptr);
    KeFlushQueuedDpcs();
    return seen.calls == 1 && seen.processor == last_processor();
}

// The order in which two DPCs of one queue run.
bool important_ones_run_first() {
    struct Order {
        KDPC usual{};
        KDPC important{};
        volatile LONG next = 0;
        LONG usual_place = 0;
        LONG important_place = 0;
    } order;
    KeInitializeDpc(
        &order.usual,
        [](PKDPC, PVOID context, PVOID, PVOID) {
            auto& all = *static_cast<Order*>(context);
            all.usual_place = InterlockedIncrement(&all.next);
        },
        &order);
    KeInitializeDpc(
        &order.important,
        [](PKDPC, PVOID context, PVOID, PVOID) {
            auto& all = *static_cast<Order*>(context);
            all.important_place = InterlockedIncrement(&all.next);
        },
        &order);
    KeSetImportanceDpc(&order.important, HighImportance);
    at_irql(DISPATCH_LEVEL, [&] {
        KeInsertQueueDpc(&order.usual, nullptr, nullptr);
        KeInsertQueueDpc(&order.important, nullptr, nullptr);
    });
    KeFlushQueuedDpcs();
    return order.important_place == 1 && order.usual_place == 2;
}

bool unimportant_ones_run_at_last() {
    Seen seen;
    KDPC dpc;
    KeInitializeDpc(&dpc, note, &seen);
    KeSetImportanceDpc(&dpc, LowImportance);
    KeInsertQueueDpc(&dpc, nullptr, nullptr);
    for (int i = 0; i < 100 && seen.calls == 0; ++i) {
        KeStallExecutionProcessor(100);  // a clock interrupt comes by
    }
    return seen.calls == 1;
}

/// What the workers of a call on all processors have seen.
struct Meeting {
    Seen seen;
    volatile LONG chosen = 0;
    volatile LONG early = 0;
};

bool ipi_runs_everywhere_at_once() {
    struct Call {
        volatile LONG64 processors = 0;
        volatile LONG present = 0;
        volatile LONG wrong_irql = 0;
        LONG expected = 0;
    } call;
    call.expected = static_cast<LONG>(last_processor() + 1);
    const ULONG_PTR result = KeIpiGenericCall(
        [](ULONG_PTR context) -> ULONG_PTR {
            auto& here = *std::bit_cast<Call*>(context);
            const ULONG self = KeGetCurrentProcessorNumberEx(nullptr);
            __atomic_fetch_or(&here.processors, LONG64{1} << self, __ATOMIC_ACQ_REL);
            if (KeGetCurrentIrql() != IPI_LEVEL) {
                InterlockedIncrement(&here.wrong_irql);
            }
            // This ends only if all are here at the same time.
            InterlockedIncrement(&here.present);
            while (here.present != here.expected) {
            }
            return 100 + self;
        },
        std::bit_cast<ULONG_PTR>(&call));
    return call.processors == all_processors() && call.wrong_irql == 0 && result >= 100 &&
           result <= 100 + last_processor();
}

bool ipi_returns_what_the_caller_returned() {
    ULONG_PTR result = 0;
    ULONG self = 0;
    at_irql(DISPATCH_LEVEL, [&] {
        self = KeGetCurrentProcessorNumberEx(nullptr);
        result = KeIpiGenericCall(
            [](ULONG_PTR) -> ULONG_PTR { return KeGetCurrentProcessorNumberEx(nullptr); }, 0);
    });
    return result == self;
}

bool generic_dpc_runs_everywhere() {
    Meeting meeting;
    KeGenericCallDpc(
        [](PKDPC dpc, PVOID context, PVOID done, PVOID) {
            note(dpc, &static_cast<Meeting*>(context)->seen, nullptr, nullptr);
            KeSignalCallDpcDone(done);
        },
        &meeting);
    return meeting.seen.processors == all_processors() && meeting.seen.wrong_irql == 0 &&
           meeting.seen.calls == static_cast<LONG>(last_processor() + 1);
}

bool generic_dpc_waits_for_the_last_one() {
    struct Slow {
        volatile LONG done = 0;
    } slow;
    KeGenericCallDpc(
        [](PKDPC, PVOID context, PVOID done, PVOID) {
            KeStallExecutionProcessor(50 * KeGetCurrentProcessorNumberEx(nullptr));
            InterlockedIncrement(&static_cast<Slow*>(context)->done);
            KeSignalCallDpcDone(done);
        },
        &slow);
    return slow.done == static_cast<LONG>(last_processor() + 1);
}

bool synchronize_lets_all_on_together() {
    Meeting meeting;
    KeGenericCallDpc(
        [](PKDPC dpc, PVOID context, PVOID done, PVOID barrier) {
            auto& all = *static_cast<Meeting*>(context);
            const auto expected = static_cast<LONG>(last_processor() + 1);
            for (LONG round = 1; round <= 3; ++round) {
                note(dpc, &all.seen, nullptr, nullptr);
                if (KeSignalCallDpcSynchronize(barrier)) {
                    InterlockedIncrement(&all.chosen);
                }
                if (all.seen.calls < round * expected) {
                    InterlockedIncrement(&all.early);
                }
                KeSignalCallDpcSynchronize(barrier);
            }
            KeSignalCallDpcDone(done);
        },
        &meeting);
    return meeting.early == 0 && meeting.chosen == 3;
}

constexpr std::array promises{
    Promise{"KeInitializeDpc", "the routine gets its context", runs_with_its_arguments},
    Promise{"KeInsertQueueDpc", "the routine runs at DISPATCH_LEVEL with its arguments",
            runs_with_its_arguments},
    Promise{"KeInsertQueueDpc", "waits until the IRQL sinks", waits_for_the_irql},
    Promise{"KeInsertQueueDpc", "is FALSE when it is queued already", is_queued_once},
    Promise{"KeInsertQueueDpc", "may be called by the routine itself", queues_itself_again},
    Promise{"KeRemoveQueueDpc", "takes it back, at HIGH_LEVEL too", can_be_removed},
    Promise{"KeSetTargetProcessorDpcEx", "it runs there", goes_to_its_processor},
    Promise{"KeSetTargetProcessorDpcEx", "refuses processors that are not there",
            refuses_other_processors},
    Promise{"KeSetTargetProcessorDpc", "it runs there", old_call_sets_the_target_too},
    Promise{"KeSetImportanceDpc", "high importance comes first", important_ones_run_first},
    Promise{"KeSetImportanceDpc", "low importance comes too", unimportant_ones_run_at_last},
    Promise{"KeFlushQueuedDpcs", "waits for all processors", goes_to_its_processor},
    Promise{"KeIpiGenericCall", "runs everywhere at once at IPI_LEVEL",
            ipi_runs_everywhere_at_once},
    Promise{"KeIpiGenericCall", "returns the caller's own result",
            ipi_returns_what_the_caller_returned},
    Promise{"KeGenericCallDpc", "runs everywhere at DISPATCH_LEVEL", generic_dpc_runs_everywhere},
    Promise{"KeSignalCallDpcDone", "the call waits for the last one",
            generic_dpc_waits_for_the_last_one},
    Promise{"KeSignalCallDpcSynchronize", "lets all on together and chooses one",
            synchronize_lets_all_on_together},
};

constexpr std::array mistakes{
    Mistake{"KeFlushQueuedDpcs", "at APC_LEVEL", [] { at_irql(APC_LEVEL, KeFlushQueuedDpcs); },
            "IrqlTooHigh"},
    Mistake{"KeIpiGenericCall", "at IPI_LEVEL",
            [] {
                at_irql(IPI_LEVEL,
                        [] { KeIpiGenericCall([](ULONG_PTR) -> ULONG_PTR { return 0; }, 0); });
            },
            "IrqlTooHigh"},
    Mistake{"KeGenericCallDpc", "at DISPATCH_LEVEL",
            [] {
                at_irql(DISPATCH_LEVEL, [] {
                    KeGenericCallDpc(
                        [](PKDPC, PVOID, PVOID done, PVOID) { KeSignalCallDpcDone(done); },
                        nullptr);
                });
            },
            "IrqlTooHigh"},
    Mistake{"KeSignalCallDpcDone", "forgotten",
            [] { KeGenericCallDpc([](PKDPC, PVOID, PVOID, PVOID) {}, nullptr); }, "DpcNotDone"},
    Mistake{"KeInsertQueueDpc", "the routine returns at another IRQL",
            [] {
                KDPC dpc;
                KeInitializeDpc(
                    &dpc,
                    [](PKDPC, PVOID, PVOID, PVOID) {
                        KIRQL old{};
                        KeRaiseIrql(HIGH_LEVEL, &old);
                    },
                    nullptr);
                KeInsertQueueDpc(&dpc, nullptr, nullptr);
                KeFlushQueuedDpcs();
            },
            "IrqlAfterDpc"},
};

constexpr std::array harmless{
    Harmless{"KeInitializeDpc", "any IRQL; what it is given is not looked at before it runs"},
    Harmless{"KeRemoveQueueDpc", "any IRQL"},
    Harmless{"KeSetTargetProcessorDpc", "any IRQL; other numbers change nothing"},
    Harmless{"KeSetTargetProcessorDpcEx", "any IRQL; other numbers are an error status"},
    Harmless{"KeSetImportanceDpc", "any IRQL"},
    Harmless{"KeSignalCallDpcSynchronize", "any IRQL"},
};

constexpr Contract contract{"contract_dpc", promises, mistakes, {}, harmless};

}  // namespace

extern "C" NTSTATUS DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path) {
    return examine(contract, driver, path);
}
