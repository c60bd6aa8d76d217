// A driver that asks about processors and moves between them, by Windows' documentation, and says
// what is different: a line that begins with `Wrong` for each. Its work is to be on the right one.
#include <bit>
#include <cstdint>

#include "hypervisor/arch/instructions.hpp"
#include "platform/windows/nt.hpp"

namespace {

using namespace hvp;

constinit unsigned failures = 0;

void expect_equal(std::uint64_t value, std::uint64_t wanted, const char* what) {
    if (value != wanted) {
        ++failures;
        DbgPrintEx(DPFLTR_IHVDRIVER_ID, DPFLTR_ERROR_LEVEL,
                   "Wrong what=\"%s\" value=0x%llx wanted=0x%llx\n", what, value, wanted);
    }
}

std::uint32_t here() {
    return KeGetCurrentProcessorNumberEx(nullptr);
}

/// What WDK's inline functions read: the number in the processor's own control block.
std::uint32_t number_behind_gs() {
    std::uint32_t number{};
    asm volatile("movl %%gs:0x1A4, %[number]" : [number] "=r"(number));
    return number;
}

void check_counts() {
    KAFFINITY mask{};
    const ULONG count = KeQueryActiveProcessorCount(&mask);
    expect_equal(mask, (1ULL << count) - 1, "KeQueryActiveProcessorCount's mask");
    expect_equal(KeQueryActiveProcessors(), mask, "KeQueryActiveProcessors");
    expect_equal(KeQueryActiveProcessorCountEx(ALL_PROCESSOR_GROUPS), count, "…CountEx of all");
    expect_equal(KeQueryActiveProcessorCountEx(0), count, "…CountEx of group 0");
    expect_equal(KeQueryActiveProcessorCountEx(1), 0, "…CountEx of a group that is not there");
    PROCESSOR_NUMBER number{};
    expect_equal(static_cast<std::uint32_t>(KeGetProcessorNumberFromIndex(count - 1, &number)), 0,
                 "KeGetProcessorNumberFromIndex");
    expect_equal(number.Number, count - 1, "the last processor's number");
    expect_equal(static_cast<std::uint32_t>(KeGetProcessorNumberFromIndex(count, &number)),
                 0xC000'000D, "KeGetProcessorNumberFromIndex behind the last");
    DbgPrintEx(DPFLTR_IHVDRIVER_ID, DPFLTR_INFO_LEVEL, "Processors count=%u\n", count);
}

/// A bound thread is where it wants to be when the call returns, and stays there.
void visit_every_processor() {
    const ULONG count = KeQueryActiveProcessorCount(nullptr);
    KAFFINITY before = 0;
    for (ULONG i = 0; i < count; ++i) {
        const KAFFINITY mine = KAFFINITY{1} << i;
        expect_equal(KeSetSystemAffinityThreadEx(mine), before, "the affinity before");
        before = mine;
        expect_equal(here(), i, "the processor after KeSetSystemAffinityThreadEx");
        expect_equal(number_behind_gs(), i, "KPRCB.Number");
        DbgPrintEx(DPFLTR_IHVDRIVER_ID, DPFLTR_INFO_LEVEL, "Here index=%u\n", i);
        KeStallExecutionProcessor(4000);
        expect_equal(here(), i, "the processor after four clock interrupts");
    }
    expect_equal(KeSetSystemAffinityThreadEx(KAFFINITY{1} << count), 0, "no such processor");
    expect_equal(here(), count - 1, "the processor after a mask without one");
    KeRevertToUserAffinityThreadEx(0);
}

void check_group_calls() {
    const ULONG last = KeQueryActiveProcessorCount(nullptr) - 1;
    GROUP_AFFINITY first_one{};
    first_one.Mask = 1;
    GROUP_AFFINITY last_one{};
    last_one.Mask = KAFFINITY{1} << last;
    GROUP_AFFINITY outer{};
    GROUP_AFFINITY inner{};
    KeSetSystemGroupAffinityThread(&first_one, &outer);
    expect_equal(outer.Mask, 0, "the group affinity before");
    KeSetSystemGroupAffinityThread(&last_one, &inner);
    expect_equal(inner.Mask, 1, "the group affinity in between");
    expect_equal(here(), last, "the processor after KeSetSystemGroupAffinityThread");
    KeRevertToUserGroupAffinityThread(&inner);
    expect_equal(here(), 0, "the processor after reverting to the first one");
    last_one.Group = 1;
    KeSetSystemGroupAffinityThread(&last_one, &inner);
    expect_equal(inner.Mask, 0, "a group that is not there");
    expect_equal(here(), 0, "the processor after a group that is not there");
    KeRevertToUserGroupAffinityThread(&outer);
}

/// At DISPATCH_LEVEL the move waits until the IRQL sinks.
void move_at_dispatch_level() {
    const ULONG last = KeQueryActiveProcessorCount(nullptr) - 1;
    KeSetSystemAffinityThreadEx(1);
    const KIRQL old = KeRaiseIrqlToDpcLevel();
    KeSetSystemAffinityThreadEx(KAFFINITY{1} << last);
    expect_equal(here(), 0, "the processor at DISPATCH_LEVEL");
    KeLowerIrql(old);
    expect_equal(here(), last, "the processor after the IRQL has sunk");
    KeRevertToUserAffinityThreadEx(0);
}

/// Nobody promises an unbound thread that it stays. Its registers come with it.
void wander() {
    const ULONG count = KeQueryActiveProcessorCount(nullptr);
    constexpr ULONG looks = 50;  // more than one on each stay
    KAFFINITY seen{};
    std::uint64_t xmm = 0x1234'5678'9ABC'DEF0;
    for (ULONG i = 0; i < looks * count; ++i) {
        std::uint64_t turns = 10'000;
        asm volatile(
            "movq %[xmm], %%xmm0\n"
            "1: pause\n\t"
            "decq %[turns]\n\t"
            "jnz 1b\n\t"
            "movq %%xmm0, %[xmm]"
            : [xmm] "+r"(xmm), [turns] "+r"(turns)
            :
            : "xmm0", "cc");
        seen |= KAFFINITY{1} << here();
    }
    expect_equal(xmm, 0x1234'5678'9ABC'DEF0, "XMM0 after wandering about");
    expect_equal(seen, KeQueryActiveProcessors(), "the processors that an unbound thread came to");
}

void take_a_spin_lock() {
    KSPIN_LOCK lock{};
    KIRQL old{};
    KeInitializeSpinLock(&lock);
    KeAcquireSpinLock(&lock, &old);
    expect_equal(KeGetCurrentIrql(), DISPATCH_LEVEL, "the IRQL with a spin lock");
    KeReleaseSpinLock(&lock, old);
    expect_equal(lock, 0, "a spin lock that is free");
}

void on_unload(PDRIVER_OBJECT) {}

}  // namespace

extern "C" NTSTATUS DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING) {
    driver->DriverUnload = on_unload;
    check_counts();
    visit_every_processor();
    check_group_calls();
    move_at_dispatch_level();
    wander();
    take_a_spin_lock();
    return failures == 0 ? STATUS_SUCCESS : STATUS_UNSUCCESSFUL;
}
