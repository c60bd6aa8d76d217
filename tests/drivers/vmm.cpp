// What must not kill the VMM: its own mistakes, and whatever a guest does. The service name
// chooses: vmm-page-fault makes the VMM read an address that is not mapped in its page tables.
//
// DriverEntry succeeds where the VMM ended as it should have, and says how in the event GuestEnded.
#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <string_view>

#include "hypervisor/arch/instructions.hpp"
#include "hypervisor/exits/dispatch.hpp"
#include "hypervisor/exits/handler_table.hpp"
#include "hypervisor/exits/hypercall.hpp"
#include "platform/host.hpp"
#include "platform/windows/nt.hpp"
#include "platform/windows/status.hpp"
#include "tests/drivers/service_name.hpp"
#include "tests/drivers/test_session.hpp"

#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Weverything"
#include <ntimage.h>
#pragma clang diagnostic pop

namespace {

using namespace hvp;
using namespace std::string_view_literals;
using vmx::StopReason;
using vmx::VmmFrame;

// ---- Guests

[[noreturn]] void stop() {
    (void)vmx::hypercall(vmx::Hypercall::stop, 0);
    for (;;) {
        arch::hlt();
    }
}

void one_cpuid(void*) {
    (void)arch::cpuid(0);
    stop();
}

void invd(void*) {
    asm volatile("invd" : : : "memory");  // the VMM executes WBINVD instead
    stop();
}

/// What the guest's own handler of #GP has counted, and how long the instruction is that it steps
/// over.
volatile std::uint64_t general_protections{};
volatile std::uint64_t instruction_bytes{};
[[gnu::naked]] void count_general_protection() {
    asm volatile(
        "movq %%rax, (%%rsp)\n"  // where the error code is
        "movq %[bytes], %%rax\n"
        "addq %%rax, 8(%%rsp)\n"
        "incq %[count]\n"
        "popq %%rax\n"
        "iretq"
        :
        : [bytes] "m"(instruction_bytes), [count] "m"(general_protections));
}
alignas(16) std::array<arch::InterruptGate, 14> guest_idt{};

void count_general_protections(std::uint64_t bytes) {
    instruction_bytes = bytes;
    guest_idt[13] = arch::interrupt_gate(std::bit_cast<std::uint64_t>(&count_general_protection),
                                         arch::read_cs(), 0);
    arch::lidt({.limit_bytes = sizeof guest_idt - 1,
                .base = std::bit_cast<std::uint64_t>(guest_idt.data())});
}

/// A WRMSR that only the processor knows to be wrong, and one that it takes.
/// [SDM 3A 11.12.2 "IA32_PAT MSR"]
void refused_wrmsr(void*) {
    count_general_protections(2);
    const std::uint64_t pat = arch::rdmsr(arch::Msr::pat);
    constexpr std::uint64_t reserved_type = 2;
    arch::wrmsr(arch::Msr::pat, (pat & ~0xFFULL) | reserved_type);
    arch::wrmsr(arch::Msr::pat, pat);
    if (general_protections == 1 && arch::rdmsr(arch::Msr::pat) == pat) {
        stop();
    }
    __builtin_trap();  // there is no gate for it: a triple fault
}

/// XCR0 as it is, and a value that leaves the x87 state out.
void xsetbv(void*) {
    count_general_protections(3);
    arch::write_cr4(arch::read_cr4() | arch::Cr4::os_xsave);
    const std::uint64_t xcr0 = arch::read_xcr0();
    arch::write_xcr0(xcr0 | 3);
    arch::write_xcr0(0);
    if (general_protections == 1 && arch::read_xcr0() == (xcr0 | 3)) {
        arch::write_xcr0(xcr0);
        stop();
    }
    __builtin_trap();
}

void without_idt(void*) {
    const arch::TableRegister none{.limit_bytes = 0, .base = 0};
    arch::lidt(none);
    __builtin_trap();
}

// ---- Mistakes of the VMM, in the handler of the guest's first exit

volatile std::uint64_t* somewhere{};

[[clang::preserve_none]] void read_what_is_windows(VmmFrame* frame) {
    // Windows' per-processor data: mapped for Windows, not for the VMM.
    static_cast<void>(*somewhere);
    // Where nothing has happened the guest is left all the same.
    [[clang::musttail]] return vmx::hvp_leave_vmm(frame);
}

[[clang::preserve_none]] void write_own_code(VmmFrame* frame) {
    *std::bit_cast<volatile std::uint8_t*>(&read_what_is_windows) = 0xCC;
    [[clang::musttail]] return vmx::hvp_leave_vmm(frame);
}

[[clang::preserve_none]] void read_non_canonical(VmmFrame* frame) {
    static_cast<void>(*std::bit_cast<volatile std::uint64_t*>(0x8000'0000'0000'0000));
    [[clang::musttail]] return vmx::hvp_leave_vmm(frame);
}

[[clang::preserve_none]] void execute_nothing(VmmFrame*) {
    __builtin_trap();
}

[[clang::preserve_none]] void divide_by_zero(VmmFrame* frame) {
    // In assembler: a compiler may take for granted that nobody does this.
    asm volatile("xor %%ecx, %%ecx\n div %%ecx" : : : "eax", "ecx", "edx", "cc");
    [[clang::musttail]] return vmx::hvp_leave_vmm(frame);
}

// NOLINTNEXTLINE(misc-no-recursion): that is the mistake
[[gnu::noinline]] std::uint64_t recurse(std::uint64_t depth) {
    volatile std::uint64_t here = depth;  // so that every call needs stack
    return here == 0 ? 0 : recurse(here - 1) + here;
}
[[clang::preserve_none]] void overflow_the_stack(VmmFrame* frame) {
    static_cast<void>(recurse(1'000'000));
    [[clang::musttail]] return vmx::hvp_leave_vmm(frame);
}

// ---- A VMM that hands a guest's WRMSR to the processor

vmx::Next on_wrmsr(vmx::Exit exit) {
    return vmx::answer_wrmsr(exit, arch::try_wrmsr);
}
constexpr std::array passed_on{vmx::MsrPolicies{.first = arch::Msr::pat, .write_exits = true}};
constexpr auto passes_wrmsr_on =
    vmx::default_handlers.with<vmx::ExitReason::wrmsr, on_wrmsr>().with_msrs<passed_on>();

/// Where the relocations lie: in pages that Windows frees after DriverEntry.
volatile std::uint64_t* relocations_of(const DRIVER_OBJECT& driver) {
    auto* const base = static_cast<std::byte*>(driver.DriverStart);
    const auto* const dos = reinterpret_cast<const IMAGE_DOS_HEADER*>(base);
    const auto* const nt = reinterpret_cast<const IMAGE_NT_HEADERS64*>(base + dos->e_lfanew);
    const auto& directory = nt->OptionalHeader.DataDirectory[IMAGE_DIRECTORY_ENTRY_BASERELOC];
    return reinterpret_cast<volatile std::uint64_t*>(base + directory.VirtualAddress);
}

struct Case {
    std::string_view name;
    void (*guest)(void*);
    vmx::ExitFunction* handler;  ///< instead of the dispatcher; none: the dispatcher
    StopReason expected;
};

constexpr std::array cases{
    Case{"stop"sv, one_cpuid, nullptr, StopReason::stopped_by_guest},
    Case{"invd"sv, invd, nullptr, StopReason::stopped_by_guest},
    Case{"xsetbv"sv, xsetbv, nullptr, StopReason::stopped_by_guest},
    Case{"refused-wrmsr"sv, refused_wrmsr, nullptr, StopReason::stopped_by_guest},
    Case{"unknown-exit"sv, one_cpuid, vmx::table::on_unhandled<vmx::Untraced>,
         StopReason::unhandled_exit},
    Case{"triple-fault"sv, without_idt, nullptr, StopReason::triple_fault},
    Case{"page-fault"sv, one_cpuid, read_what_is_windows, StopReason::exception_in_vmm},
    Case{"read-discardable"sv, one_cpuid, read_what_is_windows, StopReason::exception_in_vmm},
    Case{"write-code"sv, one_cpuid, write_own_code, StopReason::exception_in_vmm},
    Case{"non-canonical"sv, one_cpuid, read_non_canonical, StopReason::exception_in_vmm},
    Case{"invalid-opcode"sv, one_cpuid, execute_nothing, StopReason::exception_in_vmm},
    Case{"divide-error"sv, one_cpuid, divide_by_zero, StopReason::exception_in_vmm},
    Case{"stack-overflow"sv, one_cpuid, overflow_the_stack, StopReason::exception_in_vmm},
};

void tell(const vmx::GuestStop& guest_stop) {
    tests::print_event(
        "GuestEnded end=%u reason=\"%s\" reason_number=%u vector=%llu error_code=0x%llx rip=0x%llx "
        "cr2=0x%llx\n",
        static_cast<unsigned>(guest_stop.why),
        vmx::exit_reason_name(guest_stop.reason.basic_reason),
        static_cast<unsigned>(guest_stop.reason.basic_reason), guest_stop.trap.vector,
        guest_stop.trap.error_code, guest_stop.trap.rip, guest_stop.trap.cr2);
}

void on_unload(PDRIVER_OBJECT) {}

}  // namespace

extern "C" NTSTATUS DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path) {
    driver->DriverUnload = on_unload;
    const auto* chosen = std::ranges::find_if(
        cases, [&](const Case& one) { return tests::is_service(*path, "vmm-"sv, one.name); });
    if (chosen == cases.end()) {
        return STATUS_NOT_SUPPORTED;
    }
    somewhere = std::bit_cast<volatile std::uint64_t*>(arch::rdmsr(arch::Msr::gs_base));
    if (chosen->name == "read-discardable"sv) {
        somewhere = relocations_of(*driver);
    }
    const platform::PinnedToProcessor pinned;
    auto session = tests::TestSession::prepare(*driver);
    if (!session) {
        return windows::status_of(session.error().kind);
    }
    if (chosen->guest == refused_wrmsr) {
        vmx::set_exit_path(session->vmm(), vmx::exit_path<passes_wrmsr_on>());
    }
    if (chosen->handler != nullptr) {
        session->vmm().frame()->on_exit = chosen->handler;
    }
    const auto guest_stop = session->run(chosen->guest, nullptr);
    if (!guest_stop) {
        tests::print_failure(guest_stop.error());
        return windows::status_of(guest_stop.error().kind);
    }
    tell(*guest_stop);
    return guest_stop->why == chosen->expected ? STATUS_SUCCESS : STATUS_UNSUCCESSFUL;
}
