// A driver that leaves something going, or forgets what Windows needs of it. What, its service name
// says: neglect-timer unloads with a timer armed. The tests know how the lab has to answer each.
#include <algorithm>
#include <array>
#include <bit>
#include <string_view>

#include "hypervisor/arch/instructions.hpp"
#include "platform/windows/nt.hpp"
#include "tests/drivers/service_name.hpp"

extern "C" {
NTKERNELAPI VOID NTAPI KeGenericCallDpc(PKDEFERRED_ROUTINE Routine, PVOID Context);
NTKERNELAPI VOID NTAPI KeSignalCallDpcDone(PVOID SystemArgument1);
}

namespace {

using namespace hvp;
using namespace std::string_view_literals;

constexpr LONGLONG millisecond = 10'000;

constinit KTIMER timer{};
constinit KDPC dpc{};
constinit KEVENT event{};
constinit KMUTEX mutex{};
constinit KDPC queued_dpc{};
constinit volatile LONG calls = 0;

void NTAPI on_dpc(PKDPC, PVOID, PVOID, PVOID) {
    calls = calls + 1;
}

LARGE_INTEGER in_milliseconds(LONGLONG count) {
    LARGE_INTEGER due;
    due.QuadPart = -count * millisecond;
    return due;
}

void arm_timer() {
    KeInitializeTimer(&timer);
    KeInitializeDpc(&dpc, on_dpc, nullptr);
    KeSetTimerEx(&timer, in_milliseconds(1), 1, &dpc);
}

void queue_dpc() {
    KeInitializeDpc(&queued_dpc, on_dpc, nullptr);
    KeSetImportanceDpc(&queued_dpc, LowImportance);
    KeInsertQueueDpc(&queued_dpc, nullptr, nullptr);
}

void start_thread(PKSTART_ROUTINE routine) {
    HANDLE handle{};
    PsCreateSystemThread(&handle, THREAD_ALL_ACCESS, nullptr, nullptr, nullptr, routine, nullptr);
    ZwClose(handle);
}

void compute_for_ever(PVOID) {
    for (;;) {
        calls = calls + 1;
    }
}

void wait_for_ever(PVOID) {
    KeWaitForSingleObject(&event, Executive, KernelMode, FALSE, nullptr);
}

void delay_for_ever(PVOID) {
    for (;;) {
        LARGE_INTEGER interval = in_milliseconds(1);
        KeDelayExecutionThread(KernelMode, FALSE, &interval);
    }
}

void wait_at_dispatch_level() {
    KIRQL old{};
    KeRaiseIrql(DISPATCH_LEVEL, &old);
    wait_for_ever(nullptr);
    KeLowerIrql(old);
}

void wait_in_a_dpc() {
    KeInitializeDpc(&dpc, [](PKDPC, PVOID, PVOID, PVOID) { wait_for_ever(nullptr); }, nullptr);
    KeInsertQueueDpc(&dpc, nullptr, nullptr);
    KeFlushQueuedDpcs();
}

void forget_done_on_the_first_processor() {
    KeGenericCallDpc(
        [](PKDPC, PVOID, PVOID done, PVOID) {
            if (KeGetCurrentProcessorNumberEx(nullptr) != 0) {
                KeSignalCallDpcDone(done);
            }
        },
        nullptr);
}

void keep_mutex() {
    KeWaitForSingleObject(&mutex, Executive, KernelMode, FALSE, nullptr);
}

/// As a thread of somebody else's would have it.
void release_foreign_mutex() {
    start_thread([](PVOID) {
        keep_mutex();
        wait_for_ever(nullptr);
    });
    while (KeReadStateMutex(&mutex) != 0) {
        LARGE_INTEGER interval = in_milliseconds(1);
        KeDelayExecutionThread(KernelMode, FALSE, &interval);
    }
    KeReleaseMutex(&mutex, FALSE);
}

/// What is read on one processor is written on another one: in between the thread has moved on.
void forget_to_pin() {
    const auto before = arch::read_cr4();
    arch::write_cr4(before | arch::Cr4::vmx_enable);
    KeStallExecutionProcessor(5'000);
    arch::write_cr4(before);
}

struct Deed {
    std::string_view name;
    void (*in_entry)();
    void (*in_unload)();
    NTSTATUS status = STATUS_SUCCESS;
};

constexpr auto nothing = [] {};

constexpr std::array deeds{
    Deed{"timer"sv, arm_timer, nothing},
    Deed{"timer-then-refuse"sv, arm_timer, nothing, STATUS_NOT_SUPPORTED},
    Deed{"dpc"sv, nothing, queue_dpc},
    Deed{"computing-thread"sv, [] { start_thread(compute_for_ever); }, nothing},
    Deed{"waiting-thread"sv, [] { start_thread(wait_for_ever); }, nothing},
    Deed{"delaying-thread"sv, [] { start_thread(delay_for_ever); }, nothing},
    Deed{"thread-then-refuse"sv, [] { start_thread(compute_for_ever); }, nothing,
         STATUS_NOT_SUPPORTED},
    Deed{"wait-at-dispatch"sv, wait_at_dispatch_level, nothing},
    Deed{"wait-in-dpc"sv, wait_in_a_dpc, nothing},
    Deed{"done"sv, forget_done_on_the_first_processor, nothing},
    Deed{"mutex"sv, keep_mutex, nothing},
    Deed{"foreign-mutex"sv, release_foreign_mutex, nothing},
    Deed{"pin"sv, forget_to_pin, nothing},
};

constinit const Deed* chosen{};

void on_unload(PDRIVER_OBJECT) {
    chosen->in_unload();
}

}  // namespace

extern "C" NTSTATUS DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path) {
    const auto* deed = std::ranges::find_if(
        deeds, [&](const Deed& one) { return tests::is_service(*path, "neglect-"sv, one.name); });
    if (deed == deeds.end()) {
        return STATUS_NOT_SUPPORTED;
    }
    chosen = deed;
    driver->DriverUnload = on_unload;
    KeInitializeEvent(&event, NotificationEvent, FALSE);
    KeInitializeMutex(&mutex, 0);
    deed->in_entry();
    return deed->status;
}
