// Processors: how many, which one, and how a thread gets there; and the time.
#include <array>
#include <bit>

#include "tests/drivers/contract.hpp"

extern "C" {
// The slot in the import table, as in contract_ob.cpp.
extern CCHAR* const number_of_processors_slot __asm__("__imp_KeNumberProcessors");
}

namespace {

using namespace hvp::tests;

ULONG count() {
    return KeQueryActiveProcessorCount(nullptr);
}

ULONG here() {
    return KeGetCurrentProcessorNumberEx(nullptr);
}

KAFFINITY only(ULONG number) {
    return KAFFINITY{1} << number;
}

bool count_and_mask_agree() {
    KAFFINITY mask{};
    const ULONG all = KeQueryActiveProcessorCount(&mask);
    return all >= 1 && all <= 8 && mask == only(all) - 1 && KeQueryActiveProcessors() == mask;
}

bool groups_are_counted() {
    return KeQueryActiveProcessorCountEx(ALL_PROCESSOR_GROUPS) == count() &&
           KeQueryActiveProcessorCountEx(0) == count() && KeQueryActiveProcessorCountEx(1) == 0;
}

bool number_and_index_are_the_same() {
    for (ULONG i = 0; i < count(); ++i) {
        PROCESSOR_NUMBER number{};
        number.Reserved = 1;
        if (!NT_SUCCESS(KeGetProcessorNumberFromIndex(i, &number)) || number.Group != 0 ||
            number.Number != i || number.Reserved != 0 ||
            KeGetProcessorIndexFromNumber(&number) != i) {
            return false;
        }
    }
    PROCESSOR_NUMBER number{};
    const auto beyond = static_cast<ULONG>(KeGetProcessorNumberFromIndex(count(), &number));
    number.Number = static_cast<UCHAR>(count());
    return beyond == 0xC000'000D && KeGetProcessorIndexFromNumber(&number) == 0xFFFF'FFFF;
}

bool current_number_is_written_too() {
    bool right = false;
    at_irql(HIGH_LEVEL, [&] {
        PROCESSOR_NUMBER number{};
        number.Group = 7;
        right = KeGetCurrentProcessorNumberEx(&number) == number.Number && number.Group == 0;
    });
    return right;
}

/// Binds the thread to each processor in turn, in some way, and looks whether it is there.
template <typename Bind, typename Revert>
bool visits_all(Bind bind, Revert revert) {
    bool right = true;
    for (ULONG i = 0; i < count(); ++i) {
        bind(i);
        right &= here() == i;
        KeStallExecutionProcessor(3000);  // clock interrupts pass by, and it stays
        right &= here() == i;
        revert();
    }
    return right;
}

bool old_call_visits_all() {
    return visits_all([](ULONG i) { KeSetSystemAffinityThread(only(i)); },
                      [] { KeRevertToUserAffinityThread(); });
}

bool newer_call_visits_all() {
    KAFFINITY before{};
    return visits_all([&](ULONG i) { before = KeSetSystemAffinityThreadEx(only(i)); },
                      [&] { KeRevertToUserAffinityThreadEx(before); });
}

bool group_call_visits_all() {
    GROUP_AFFINITY before{};
    return visits_all(
        [&](ULONG i) {
            GROUP_AFFINITY wanted{};
            wanted.Mask = only(i);
            KeSetSystemGroupAffinityThread(&wanted, &before);
        },
        [&] { KeRevertToUserGroupAffinityThread(&before); });
}

bool affinities_nest() {
    const KAFFINITY outer = KeSetSystemAffinityThreadEx(only(0));
    const KAFFINITY inner = KeSetSystemAffinityThreadEx(only(count() - 1));
    const bool there = here() == count() - 1;
    KeRevertToUserAffinityThreadEx(inner);
    const bool back = here() == 0;
    const KAFFINITY nobody = KeSetSystemAffinityThreadEx(only(count()));
    KeRevertToUserAffinityThreadEx(outer);
    return outer == 0 && inner == only(0) && there && back && nobody == 0;
}

bool performance_counter_counts() {
    LARGE_INTEGER frequency{};
    const LONGLONG first = KeQueryPerformanceCounter(&frequency).QuadPart;
    KeStallExecutionProcessor(1000);
    const LONGLONG second = KeQueryPerformanceCounter(nullptr).QuadPart;
    const LONGLONG a_millisecond = frequency.QuadPart / 1000;
    return frequency.QuadPart == 10'000'000 && second - first >= a_millisecond * 9 / 10;
}

bool stalls_at_least_that_long() {
    bool right = false;
    at_irql(HIGH_LEVEL, [&] {
        const LONGLONG first = KeQueryPerformanceCounter(nullptr).QuadPart;
        KeStallExecutionProcessor(50);
        right = KeQueryPerformanceCounter(nullptr).QuadPart - first >= 450;
    });
    return right;
}

constexpr std::array promises{
    Promise{"KeNumberProcessors", "is the count",
            [] { return static_cast<ULONG>(*number_of_processors_slot) == count(); }},
    Promise{"KeQueryActiveProcessorCount", "count and mask agree", count_and_mask_agree},
    Promise{"KeQueryActiveProcessors", "is the mask", count_and_mask_agree},
    Promise{"KeQueryActiveProcessorCountEx", "knows the groups", groups_are_counted},
    Promise{"KeGetProcessorNumberFromIndex", "and back again", number_and_index_are_the_same},
    Promise{"KeGetProcessorIndexFromNumber", "and back again", number_and_index_are_the_same},
    Promise{"KeGetCurrentProcessorNumberEx", "any IRQL", current_number_is_written_too},
    Promise{"KeGetCurrentNodeNumber", "is 0", [] { return KeGetCurrentNodeNumber() == 0; }},
    Promise{"KeSetSystemAffinityThread", "the thread is there", old_call_visits_all},
    Promise{"KeRevertToUserAffinityThread", "it can be bound again", old_call_visits_all},
    Promise{"KeSetSystemAffinityThreadEx", "the thread is there", newer_call_visits_all},
    Promise{"KeRevertToUserAffinityThreadEx", "bindings nest", affinities_nest},
    Promise{"KeSetSystemGroupAffinityThread", "the thread is there", group_call_visits_all},
    Promise{"KeRevertToUserGroupAffinityThread", "it can be bound again", group_call_visits_all},
    Promise{"KeQueryPerformanceCounter", "ten million a second", performance_counter_counts},
    Promise{"KeStallExecutionProcessor", "at least that long", stalls_at_least_that_long},
};

GROUP_AFFINITY first_processor() {
    GROUP_AFFINITY affinity{};
    affinity.Mask = 1;
    return affinity;
}

constexpr std::array mistakes{
    Mistake{"KeSetSystemAffinityThread", "at HIGH_LEVEL",
            [] {
                at_irql(HIGH_LEVEL, [] { KeSetSystemAffinityThread(1); });
                KeRevertToUserAffinityThread();
            },
            "IrqlTooHigh"},
    Mistake{"KeRevertToUserAffinityThread", "at HIGH_LEVEL",
            [] { at_irql(HIGH_LEVEL, [] { KeRevertToUserAffinityThread(); }); }, "IrqlTooHigh"},
    Mistake{"KeSetSystemAffinityThreadEx", "at HIGH_LEVEL",
            [] {
                at_irql(HIGH_LEVEL, [] { KeSetSystemAffinityThreadEx(1); });
                KeRevertToUserAffinityThreadEx(0);
            },
            "IrqlTooHigh"},
    Mistake{"KeRevertToUserAffinityThreadEx", "at HIGH_LEVEL",
            [] { at_irql(HIGH_LEVEL, [] { KeRevertToUserAffinityThreadEx(0); }); }, "IrqlTooHigh"},
    Mistake{"KeSetSystemGroupAffinityThread", "at HIGH_LEVEL",
            [] {
                at_irql(HIGH_LEVEL, [] {
                    GROUP_AFFINITY affinity = first_processor();
                    KeSetSystemGroupAffinityThread(&affinity, nullptr);
                });
                KeRevertToUserAffinityThread();
            },
            "IrqlTooHigh"},
    Mistake{"KeRevertToUserGroupAffinityThread", "at HIGH_LEVEL",
            [] {
                at_irql(HIGH_LEVEL, [] {
                    GROUP_AFFINITY affinity{};
                    KeRevertToUserGroupAffinityThread(&affinity);
                });
            },
            "IrqlTooHigh"},
    Mistake{"KeSetSystemAffinityThread", "not reverted", [] { KeSetSystemAffinityThread(1); },
            "AffinityNotReverted"},
};

constexpr std::array crashes{
    Crash{"KeSetSystemAffinityThread", "no active processor", "-affinity",
          [] { KeSetSystemAffinityThread(only(63)); }, 0x03},
};

constexpr std::array harmless{
    Harmless{"KeNumberProcessors", "data"},
    Harmless{"KeQueryActiveProcessorCount", "any IRQL"},
    Harmless{"KeQueryActiveProcessors", "any IRQL, no argument"},
    Harmless{"KeQueryActiveProcessorCountEx", "any IRQL; other groups have no processors"},
    Harmless{"KeGetProcessorNumberFromIndex", "any IRQL; other indices are an error status"},
    Harmless{"KeGetProcessorIndexFromNumber", "any IRQL; other numbers have no index"},
    Harmless{"KeGetCurrentProcessorNumberEx", "any IRQL"},
    Harmless{"KeGetCurrentNodeNumber", "any IRQL, no argument"},
    Harmless{"KeQueryPerformanceCounter", "any IRQL"},
    Harmless{"KeStallExecutionProcessor", "any IRQL; how long is the driver's affair"},
};

constexpr Contract contract{"contract_processors", promises, mistakes, crashes, harmless};

}  // namespace

extern "C" NTSTATUS DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path) {
    return examine(contract, driver, path);
}
