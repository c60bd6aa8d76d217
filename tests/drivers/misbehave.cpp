// A driver that does one wrong thing. Which one, its service name says: misbehave-leak-pool leaks
// pool. The tests know how the lab has to answer each.
#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <string_view>

#include "hypervisor/arch/instructions.hpp"
#include "platform/windows/nt.hpp"
#include "tests/drivers/misbehave_memory.hpp"
#include "tests/drivers/service_name.hpp"

// Undocumented.
extern "C" {
NTKERNELAPI VOID NTAPI KeGenericCallDpc(PKDEFERRED_ROUTINE Routine, PVOID Context);
NTKERNELAPI VOID NTAPI KeSignalCallDpcDone(PVOID SystemArgument1);
NTKERNELAPI LOGICAL NTAPI KeSignalCallDpcSynchronize(PVOID SystemArgument2);
}

namespace {

using namespace hvp;
using namespace hvp::tests;
using namespace std::string_view_literals;

NTSTATUS return_at_raised_irql() {
    KIRQL old{};
    KeRaiseIrql(DISPATCH_LEVEL, &old);
    return STATUS_SUCCESS;
}

NTSTATUS read_nowhere() {
    return *opaque(std::bit_cast<volatile NTSTATUS*>(0xFFFF'D000'0000'1000));
}

NTSTATUS read_null() {
    return *opaque(std::bit_cast<volatile NTSTATUS*>(std::uint64_t{8}));
}

NTSTATUS read_at_dispatch_level() {
    KIRQL old{};
    KeRaiseIrql(DISPATCH_LEVEL, &old);
    return read_nowhere();
}

NTSTATUS read_non_canonical() {
    return *opaque(std::bit_cast<volatile NTSTATUS*>(0x0000'8000'0000'0000));
}

NTSTATUS divide_by_zero() {
    int zero = 0;
    asm volatile("" : "+r"(zero));
    int quotient = 1;
    asm volatile("cltd\n\tidivl %[zero]" : "+a"(quotient) : [zero] "r"(zero) : "edx");
    return quotient;
}

NTSTATUS execute_nothing() {
    asm volatile("ud2");
    return STATUS_SUCCESS;
}

// A frame of its own for each level, and something to do after the call, so that it stays a call.
// The room is not filled, which would be one call more that the stack may end in.
[[gnu::noinline]] int recurse(volatile int* depth) {
    constexpr int too_deep = 1'000'000;
    volatile int room[64];
    room[0] = *depth + 1;
    return room[0] > too_deep ? 0 : recurse(room) + room[0];
}

NTSTATUS overflow_stack() {
    volatile int depth = 0;
    return recurse(&depth);
}

NTSTATUS hang_executing() {
    for (;;) {
        asm volatile("");
    }
}

NTSTATUS hang_with_interrupts_off() {
    arch::cli();
    return hang_executing();
}

NTSTATUS hang_halted() {
    for (;;) {
        arch::cli();
        arch::hlt();
    }
}

NTSTATUS triple_fault() {
    arch::lidt({.limit_bytes = 0, .base = 0});
    asm volatile("int3");
    return STATUS_SUCCESS;
}

// The headers turn KeLowerIrql into a MOV to CR8; the kernel's own routine is found by its name.
NTSTATUS lower_upwards() {
    UNICODE_STRING name;
    RtlInitUnicodeString(&name, L"KeLowerIrql");
    const auto lower = std::bit_cast<void (*)(KIRQL)>(MmGetSystemRoutineAddress(&name));
    lower(DISPATCH_LEVEL);
    lower(PASSIVE_LEVEL);
    return STATUS_SUCCESS;
}

constinit std::array<unsigned char, 16> return_instruction{0xC3};

NTSTATUS execute_data() {
    std::bit_cast<void (*)()>(opaque(return_instruction.data()))();
    return STATUS_SUCCESS;
}

NTSTATUS write_code() {
    *opaque(std::bit_cast<volatile char*>(&write_code)) = 0;
    return STATUS_SUCCESS;
}

NTSTATUS fail_fast() {
    constexpr unsigned corrupt_list_entry = 3;
    asm volatile("int $0x29" : : "c"(corrupt_list_entry));
    return STATUS_SUCCESS;
}

template <int vector>
NTSTATUS interrupt() {
    asm volatile("int %[vector]" : : [vector] "i"(vector));
    return STATUS_SUCCESS;
}

// Without its page tables' window the kernel cannot look at any address: it faults while it judges
// the first fault.
NTSTATUS crash_while_crashing() {
    *opaque(std::bit_cast<volatile std::uint64_t*>(0xFFFF'F6FB'7DBE'DF68)) = 0;
    arch::write_cr3(arch::read_cr3());
    return read_nowhere();
}

NTSTATUS crash() {
    KeBugCheckEx(0xDEADBEEF, 1, 2, 3, 4);
}

NTSTATUS stay_bound_to_processor() {
    static_cast<void>(KeSetSystemAffinityThreadEx(1));
    return STATUS_SUCCESS;
}

alignas(4096) constinit std::array<std::uint32_t, 1024> vmxon_region{};

/// VMX operation is entered on one processor, and left on whichever one the thread is on by then:
/// where it is another, VMXOFF raises #UD.
NTSTATUS forget_to_pin() {
    constexpr int turns = 300'000;
    vmxon_region[0] = static_cast<std::uint32_t>(arch::rdmsr(arch::Msr::vmx_basic));
    const auto region = static_cast<std::uint64_t>(MmGetPhysicalAddress(&vmxon_region).QuadPart);
    const auto cr4 = arch::read_cr4();
    const ULONG here = KeGetCurrentProcessorNumberEx(nullptr);
    arch::write_cr4(cr4 | arch::Cr4::vmx_enable);
    static_cast<void>(arch::vmxon(arch::HostPhysicalAddress{region}));
    for (int i = 0; i < turns && KeGetCurrentProcessorNumberEx(nullptr) == here; ++i) {
        arch::pause();
    }
    static_cast<void>(arch::vmxoff());
    arch::write_cr4(cr4);
    return STATUS_SUCCESS;
}

alignas(16) constinit std::array<std::byte, 0x2000> other_stack{};

/// As a VM-exit handler would that calls Windows from VMX root operation.
NTSTATUS call_on_another_stack() {
    auto* const top = other_stack.data() + other_stack.size() - 32;  // home space
    asm volatile(
        "movq %%rsp, %%rbx\n\t"
        "movq %[top], %%rsp\n\t"
        "call *%[routine]\n\t"
        "movq %%rbx, %%rsp"
        :
        : [top] "r"(top), [routine] "r"(&KeQueryActiveProcessors)
        : "rax", "rbx", "rcx", "rdx", "r8", "r9", "r10", "r11", "cc", "memory");
    return STATUS_SUCCESS;
}

/// As a VM-exit handler would whose code faults.
NTSTATUS fault_on_another_stack() {
    auto* const top = other_stack.data() + other_stack.size() - 32;
    asm volatile(
        "movq %%rsp, %%rbx\n\t"
        "movq %[top], %%rsp\n\t"
        "ud2\n\t"
        "movq %%rbx, %%rsp"
        :
        : [top] "r"(top)
        : "rbx", "memory");
    return STATUS_SUCCESS;
}

NTSTATUS refuse() {
    return STATUS_NOT_SUPPORTED;
}

NTSTATUS print() {
    UNICODE_STRING text;
    RtlInitUnicodeString(&text, const_cast<wchar_t*>(L"wide"));
    const auto say = [](const char* format, auto... arguments) {
        DbgPrintEx(DPFLTR_IHVDRIVER_ID, DPFLTR_INFO_LEVEL, format, arguments...);
    };
    say("Printed text=\"%s\" wide=%ws counted=%wZ character=%c percent=%%\n", "a \"b\"", L"W",
        &text, 'x');
    say("Printed decimal=%d unsigned=%u hex=%#x upper=%08X long=%lld i64=%I64x size=%zu\n", -1,
        4'000'000'000U, 0x2B, 0xBEEF, -5'000'000'000LL, 0x1234'5678'9ABC'DEF0ULL, sizeof(int));
    say("Printed pointer=%p left=[%-5d] right=[%5d] precision=[%.3s] star=[%*d]\n",
        std::bit_cast<void*>(0xFFFF'F800'1234'5678), 7, 7, "abcdef", 4, 9);
    return STATUS_SUCCESS;
}

NTSTATUS print_too_much() {
    DbgPrintEx(DPFLTR_IHVDRIVER_ID, DPFLTR_INFO_LEVEL, "%600d\n", 1);
    return STATUS_SUCCESS;
}

/// All processors but the last one wait for each other.
NTSTATUS skip_synchronize() {
    KeGenericCallDpc(
        [](PKDPC, PVOID, PVOID done, PVOID barrier) {
            if (KeGetCurrentProcessorNumberEx(nullptr) + 1 !=
                KeQueryActiveProcessorCount(nullptr)) {
                KeSignalCallDpcSynchronize(barrier);
            }
            KeSignalCallDpcDone(done);
        },
        nullptr);
    return STATUS_SUCCESS;
}

struct Deed {
    std::string_view name;
    NTSTATUS (*commit)();
};

constexpr std::array deeds{
    Deed{"leak-pool"sv, leak_pool},
    Deed{"leak-contiguous"sv, leak_contiguous},
    Deed{"irql-at-return"sv, return_at_raised_irql},
    Deed{"double-free"sv, free_twice},
    Deed{"wrong-tag"sv, free_with_wrong_tag},
    Deed{"foreign-free"sv, free_contiguous_as_pool},
    Deed{"foreign-free-contiguous"sv, free_pool_as_contiguous},
    Deed{"overrun"sv, write_behind_block},
    Deed{"underrun"sv, write_before_block},
    Deed{"overrun-page"sv, write_far_behind_block},
    Deed{"use-after-free"sv, read_freed_block},
    Deed{"use-after-free-elsewhere"sv, read_block_freed_elsewhere},
    Deed{"page-fault"sv, read_nowhere},
    Deed{"null-pointer"sv, read_null},
    Deed{"page-fault-at-dispatch"sv, read_at_dispatch_level},
    Deed{"non-canonical"sv, read_non_canonical},
    Deed{"divide-error"sv, divide_by_zero},
    Deed{"invalid-opcode"sv, execute_nothing},
    Deed{"stack-overflow"sv, overflow_stack},
    Deed{"hang-executing"sv, hang_executing},
    Deed{"hang-interrupts-off"sv, hang_with_interrupts_off},
    Deed{"hang-halted"sv, hang_halted},
    Deed{"triple-fault"sv, triple_fault},
    Deed{"irql-too-high"sv, allocate_above_dispatch_level},
    Deed{"lower-upwards"sv, lower_upwards},
    Deed{"execute-data"sv, execute_data},
    Deed{"write-code"sv, write_code},
    Deed{"fastfail"sv, fail_fast},
    Deed{"bugcheck"sv, crash},
    Deed{"crash-while-crashing"sv, crash_while_crashing},
    Deed{"nmi"sv, interrupt<2>},
    Deed{"machine-check"sv, interrupt<18>},
    Deed{"stray-interrupt"sv, interrupt<0x77>},
    Deed{"affinity"sv, stay_bound_to_processor},
    Deed{"unpinned"sv, forget_to_pin},
    Deed{"skip-synchronize"sv, skip_synchronize},
    Deed{"other-stack"sv, call_on_another_stack},
    Deed{"fault-on-other-stack"sv, fault_on_another_stack},
    Deed{"no-unload"sv, [] -> NTSTATUS { return STATUS_SUCCESS; }},
    Deed{"refuse"sv, refuse},
    Deed{"refuse-and-leak"sv, refuse_and_leak},
    Deed{"print"sv, print},
    Deed{"print-too-much"sv, print_too_much},
};

void on_unload(PDRIVER_OBJECT) {}

}  // namespace

extern "C" NTSTATUS DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path) {
    const auto* deed = std::ranges::find_if(
        deeds, [&](const Deed& one) { return tests::is_service(*path, "misbehave-"sv, one.name); });
    if (deed == deeds.end()) {
        DbgPrintEx(DPFLTR_IHVDRIVER_ID, DPFLTR_ERROR_LEVEL, "no such deed: %wZ\n", path);
        return STATUS_NOT_SUPPORTED;
    }
    if (deed->name != "no-unload"sv) {
        driver->DriverUnload = on_unload;
    }
    return deed->commit();
}
