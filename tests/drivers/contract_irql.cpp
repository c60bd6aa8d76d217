// IRQL, spin locks, and what drivers may ask about processors.
#include <array>
#include <bit>

#include "tests/drivers/contract.hpp"

extern "C" {
NTKERNELAPI VOID NTAPI KeStackAttachProcess(PVOID Process, PVOID ApcState);
NTKERNELAPI VOID NTAPI KeUnstackDetachProcess(PVOID ApcState);
extern const CCHAR* const number_processors __asm__("__imp_KeNumberProcessors");
}

namespace {

using namespace hvp::tests;

using Raise = KIRQL(KIRQL);
using Lower = void(KIRQL);

Raise* raise_irql() {
    return routine_named<Raise>(L"KfRaiseIrql");
}

Lower* lower_irql() {
    return routine_named<Lower>(L"KeLowerIrql");
}

bool irql_goes_up_and_down() {
    auto* const raise = raise_irql();
    auto* const lower = lower_irql();
    const KIRQL passive = raise(APC_LEVEL);
    const KIRQL apc = KeRaiseIrqlToDpcLevel();
    const KIRQL dispatch = raise(HIGH_LEVEL);
    const KIRQL high = KeGetCurrentIrql();
    lower(dispatch);
    lower(apc);
    lower(passive);
    return passive == PASSIVE_LEVEL && apc == APC_LEVEL && dispatch == DISPATCH_LEVEL &&
           high == HIGH_LEVEL && KeGetCurrentIrql() == PASSIVE_LEVEL;
}

bool spin_lock_raises() {
    KSPIN_LOCK lock{1};
    KIRQL old{};
    KeInitializeSpinLock(&lock);
    const bool free = lock == 0;
    KeAcquireSpinLock(&lock, &old);
    const bool held = lock != 0 && KeGetCurrentIrql() == DISPATCH_LEVEL;
    KeReleaseSpinLock(&lock, old);
    return free && held && lock == 0 && KeGetCurrentIrql() == PASSIVE_LEVEL;
}

bool counts_agree() {
    KAFFINITY mask{};
    const ULONG count = KeQueryActiveProcessorCount(&mask);
    return count >= 1 && count <= 8 && mask == (KAFFINITY{1} << count) - 1 &&
           KeQueryActiveProcessors() == mask &&
           KeQueryActiveProcessorCountEx(ALL_PROCESSOR_GROUPS) == count &&
           KeQueryActiveProcessorCountEx(7) == 0 && static_cast<ULONG>(*number_processors) == count;
}

bool numbers_agree() {
    PROCESSOR_NUMBER last{};
    PROCESSOR_NUMBER none{};
    const ULONG count = KeQueryActiveProcessorCount(nullptr);
    return NT_SUCCESS(KeGetProcessorNumberFromIndex(count - 1, &last)) && last.Group == 0 &&
           last.Number == count - 1 &&
           KeGetProcessorNumberFromIndex(count, &none) == STATUS_INVALID_PARAMETER;
}

bool affinity_moves() {
    const ULONG last = KeQueryActiveProcessorCount(nullptr) - 1;
    const KAFFINITY before = KeSetSystemAffinityThreadEx(KAFFINITY{1} << last);
    PROCESSOR_NUMBER number{};
    const ULONG there = KeGetCurrentProcessorNumberEx(&number);
    const KAFFINITY nowhere = KeSetSystemAffinityThreadEx(KAFFINITY{1} << 63);
    KeRevertToUserAffinityThreadEx(before);
    return before == 0 && there == last && number.Number == last && nowhere == 0;
}

bool group_affinity_moves() {
    GROUP_AFFINITY first{};
    first.Mask = 1;
    GROUP_AFFINITY before{};
    KeSetSystemGroupAffinityThread(&first, &before);
    const ULONG there = KeGetCurrentProcessorNumberEx(nullptr);
    KeRevertToUserGroupAffinityThread(&before);
    return there == 0 && before.Mask == 0;
}

bool stall_takes_time() {
    const auto& ticks = *std::bit_cast<const volatile std::uint64_t*>(0xFFFF'F780'0000'0320);
    const std::uint64_t before = ticks;
    for (int i = 0; i < 1000 && ticks == before; ++i) {
        KeStallExecutionProcessor(50);
    }
    return ticks != before;
}

bool attaching_changes_nothing() {
    std::array<std::uint64_t, 6> state{};
    std::uint64_t before{};
    std::uint64_t inside{};
    asm volatile("movq %%cr3, %0" : "=r"(before));
    KeStackAttachProcess(PsGetCurrentProcess(), state.data());
    asm volatile("movq %%cr3, %0" : "=r"(inside));
    KeUnstackDetachProcess(state.data());
    return before == inside;
}

constexpr std::array promises{
    Promise{"KeGetCurrentIrql", "is the IRQL", irql_goes_up_and_down},
    Promise{"KfRaiseIrql", "raises and returns the old one", irql_goes_up_and_down},
    Promise{"KeLowerIrql", "lowers", irql_goes_up_and_down},
    Promise{"KeRaiseIrqlToDpcLevel", "raises to DISPATCH_LEVEL", irql_goes_up_and_down},
    Promise{"KeInitializeSpinLock", "makes a free lock", spin_lock_raises},
    Promise{"KeAcquireSpinLockRaiseToDpc", "raises to DISPATCH_LEVEL", spin_lock_raises},
    Promise{"KeReleaseSpinLock", "gives the lock and the IRQL back", spin_lock_raises},
    Promise{"KeQueryActiveProcessorCount", "with the mask", counts_agree},
    Promise{"KeQueryActiveProcessorCountEx", "0 for a group that is not there", counts_agree},
    Promise{"KeQueryActiveProcessors", "is the mask", counts_agree},
    Promise{"KeNumberProcessors", "is a variable that holds the count", counts_agree},
    Promise{"KeGetProcessorNumberFromIndex", "up to the last one", numbers_agree},
    Promise{"KeGetCurrentProcessorNumberEx", "is where affinity leads", affinity_moves},
    Promise{"KeSetSystemAffinityThreadEx", "moves; 0 for a processor that is not there",
            affinity_moves},
    Promise{"KeRevertToUserAffinityThreadEx", "gives the affinity back", affinity_moves},
    Promise{"KeSetSystemGroupAffinityThread", "moves", group_affinity_moves},
    Promise{"KeRevertToUserGroupAffinityThread", "gives the affinity back", group_affinity_moves},
    Promise{"KeStallExecutionProcessor", "takes time", stall_takes_time},
    Promise{"KeStackAttachProcess", "to the own process changes nothing",
            attaching_changes_nothing},
    Promise{"KeUnstackDetachProcess", "undoes it", attaching_changes_nothing},
};

constexpr std::array mistakes{
    Mistake{"KfRaiseIrql", "downwards",
            [] {
                auto* const raise = raise_irql();
                at_irql(DISPATCH_LEVEL, [=] {
                    const KIRQL old = raise(APC_LEVEL);
                    raise(old);
                });
            },
            "IrqlWrongWay"},
    Mistake{"KeLowerIrql", "upwards",
            [] {
                auto* const lower = lower_irql();
                lower(DISPATCH_LEVEL);
                lower(PASSIVE_LEVEL);
            },
            "IrqlWrongWay"},
    Mistake{"KeRaiseIrqlToDpcLevel", "above DISPATCH_LEVEL",
            [] {
                auto* const raise = raise_irql();
                at_irql(HIGH_LEVEL, [=] {
                    const KIRQL old = KeRaiseIrqlToDpcLevel();
                    raise(old);
                });
            },
            "IrqlWrongWay"},
    Mistake{"KeAcquireSpinLockRaiseToDpc", "above DISPATCH_LEVEL",
            [] {
                at_irql(HIGH_LEVEL, [] {
                    KSPIN_LOCK lock{};
                    const KIRQL old = KeAcquireSpinLockRaiseToDpc(&lock);
                    KeReleaseSpinLock(&lock, old);
                });
            },
            "IrqlTooHigh"},
    Mistake{"KeReleaseSpinLock", "at PASSIVE_LEVEL",
            [] {
                KSPIN_LOCK lock{};
                KeReleaseSpinLock(&lock, PASSIVE_LEVEL);
            },
            "IrqlNotDispatch"},
    Mistake{"KeSetSystemAffinityThreadEx", "above DISPATCH_LEVEL",
            [] { at_irql(HIGH_LEVEL, [] { KeSetSystemAffinityThreadEx(0); }); }, "IrqlTooHigh"},
    Mistake{"KeRevertToUserAffinityThreadEx", "above DISPATCH_LEVEL",
            [] { at_irql(HIGH_LEVEL, [] { KeRevertToUserAffinityThreadEx(0); }); }, "IrqlTooHigh"},
    Mistake{"KeSetSystemGroupAffinityThread", "above DISPATCH_LEVEL",
            [] {
                at_irql(HIGH_LEVEL, [] {
                    GROUP_AFFINITY none{};
                    KeSetSystemGroupAffinityThread(&none, nullptr);
                });
            },
            "IrqlTooHigh"},
    Mistake{"KeRevertToUserGroupAffinityThread", "above DISPATCH_LEVEL",
            [] {
                at_irql(HIGH_LEVEL, [] {
                    GROUP_AFFINITY none{};
                    KeRevertToUserGroupAffinityThread(&none);
                });
            },
            "IrqlTooHigh"},
    Mistake{"KeStackAttachProcess", "at DISPATCH_LEVEL",
            [] {
                std::array<std::uint64_t, 6> state{};
                at_irql(DISPATCH_LEVEL,
                        [&] { KeStackAttachProcess(PsGetCurrentProcess(), state.data()); });
                KeUnstackDetachProcess(state.data());
            },
            "IrqlTooHigh"},
    Mistake{"KeUnstackDetachProcess", "at DISPATCH_LEVEL",
            [] {
                std::array<std::uint64_t, 6> state{};
                KeStackAttachProcess(PsGetCurrentProcess(), state.data());
                at_irql(DISPATCH_LEVEL, [&] { KeUnstackDetachProcess(state.data()); });
            },
            "IrqlTooHigh"},
};

constexpr std::array crashes{
    Crash{"KeAcquireSpinLockRaiseToDpc", "a lock that the caller holds", "-own-lock",
          [] {
              KSPIN_LOCK lock{};
              KIRQL old{};
              KeAcquireSpinLock(&lock, &old);
              KeAcquireSpinLock(&lock, &old);
          },
          0x0F},
    Crash{"KeStackAttachProcess", "what is no process", "-attach",
          [] {
              std::array<std::uint64_t, 6> state{};
              KeStackAttachProcess(state.data(), state.data());
          },
          0x05},
    Crash{"KeUnstackDetachProcess", "a state that was never filled", "-detach",
          [] {
              std::array<std::uint64_t, 6> state{};
              KeUnstackDetachProcess(state.data());
          },
          0x06},
};

constexpr std::array harmless{
    Harmless{"KeGetCurrentIrql", "any IRQL, no argument"},
    Harmless{"KeInitializeSpinLock", "any IRQL; a bad pointer is a page fault like any other"},
    Harmless{"KeQueryActiveProcessorCount", "any IRQL; the argument may be null"},
    Harmless{"KeQueryActiveProcessorCountEx", "any IRQL; 0 for a bad group"},
    Harmless{"KeQueryActiveProcessors", "any IRQL, no argument"},
    Harmless{"KeNumberProcessors", "data"},
    Harmless{"KeGetProcessorNumberFromIndex", "any IRQL; an error for a bad index"},
    Harmless{"KeGetCurrentProcessorNumberEx", "any IRQL; the argument may be null"},
    Harmless{"KeStallExecutionProcessor", "any IRQL; too long a stall only costs time"},
};

constexpr Contract contract{"contract_irql", promises, mistakes, crashes, harmless};

}  // namespace

extern "C" NTSTATUS DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path) {
    return examine(contract, driver, path);
}
