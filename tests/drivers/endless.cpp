// Guests that get nowhere, as their VMM resumes them where they cannot go on; and guests that only
// look like it. The service name chooses:
//   endless-hlt        RIP is not advanced past a HLT
//   endless-violation  an EPT without entries, and nothing is done about its violations
//   endless-triple     the guest is resumed after its triple fault
//   endless-io-in      RIP is not advanced past an IN
//   endless-none       a hundred thousand CPUIDs, an idle loop, polling, OUTS with REP, thousands
//   of
//                      exits without an instruction between: all of them get on
#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>

#include "hypervisor/arch/instructions.hpp"
#include "hypervisor/exits/handler_table.hpp"
#include "hypervisor/exits/hypercall.hpp"
#include "hypervisor/vmcs/current_vmcs.hpp"
#include "platform/windows/nt.hpp"
#include "platform/windows/status.hpp"
#include "tests/drivers/service_name.hpp"
#include "tests/drivers/test_session.hpp"

namespace {

using namespace hvp;
using namespace std::string_view_literals;
using vmx::Register;

// ---- A VMM that makes mistakes

vmx::Next stay(vmx::Exit) {
    return vmx::Next::resume;
}
vmx::AfterEvent stay_after_event(vmx::Exit) {
    return vmx::AfterEvent::resume;
}
constexpr auto mistaken = vmx::default_handlers.with<vmx::ExitReason::hlt, stay>()
                              .with<vmx::ExitReason::io_instruction, stay>()
                              .with<vmx::ExitReason::ept_violation, stay_after_event>()
                              .with<vmx::ExitReason::triple_fault, stay_after_event>();

// ---- A VMM that makes none

/// One byte at a time: RIP stays while there are more.
vmx::Next on_io(vmx::Exit exit) {
    constexpr std::uint64_t repeated = 1U << 5;  // [SDM 3C 27.2.1 "Basic VM-Exit Information"]
    if ((exit.vmcs.read(vmx::exit_qualification) & repeated) == 0) {
        exit.registers()[Register::rax] = 0;
        return vmx::Next::step_over;
    }
    ++exit.registers()[Register::rsi];
    return --exit.registers()[Register::rcx] == 0 ? vmx::Next::step_over : vmx::Next::resume;
}
vmx::Next on_hlt(vmx::Exit) {
    return vmx::Next::step_over;
}
constexpr auto careful = vmx::default_handlers.with<vmx::ExitReason::hlt, on_hlt>()
                             .with<vmx::ExitReason::io_instruction, on_io>();

std::expected<void, vmx::Failure> exit_at_ports(vmx::Session&, std::uint64_t) {
    vmx::CurrentVmcs vmcs;
    const auto controls = vmcs.read(vmx::primary_processor_based_controls);
    vmcs.write(vmx::primary_processor_based_controls,
               controls | vmx::PrimaryControl::unconditional_io_exiting);
    return {};
}

// ---- Guests

[[noreturn]] void stop() {
    (void)vmx::hypercall(vmx::Hypercall::stop, 0);
    for (;;) {
        arch::hlt();
    }
}

void halt(void*) {
    arch::hlt();
    stop();
}
void poll_once(void*) {
    asm volatile("in $0x80, %%al" : : : "eax");
    stop();
}
void cause_triple_fault(void*) {
    arch::lidt({.limit_bytes = 0, .base = 0});
    __builtin_trap();
}
void look_endless(void*) {
    std::uint64_t left = 100'000;
    asm volatile("1: xor %%eax, %%eax\n cpuid\n dec %[left]\n jnz 1b"
                 : [left] "+r"(left)
                 :
                 : "rax", "rbx", "rcx", "rdx", "cc");
    left = 5'000;
    asm volatile("1: hlt\n dec %[left]\n jnz 1b" : [left] "+r"(left) : : "cc");
    left = 5'000;
    asm volatile("1: in $0x80, %%al\n dec %[left]\n jnz 1b" : [left] "+r"(left) : : "eax", "cc");
    static const std::array<char, 5'000> text{};
    const char* from = text.data();
    left = text.size();
    asm volatile("mov $0x80, %%dx\n rep outsb" : "+S"(from), "+c"(left) : : "rdx", "memory");
    asm volatile(".rept 5000\n hlt\n .endr");
    stop();
}

struct Case {
    std::string_view name;
    void (*guest)(void*);
};
constexpr std::array cases{
    Case{"hlt"sv, halt},        Case{"violation"sv, halt},    Case{"triple"sv, cause_triple_fault},
    Case{"io-in"sv, poll_once}, Case{"none"sv, look_endless},
};

alignas(arch::page_bytes) std::array<std::uint64_t, 512> empty_table{};

ept::Pointer empty_ept() {
    const auto physical = MmGetPhysicalAddress(empty_table.data()).QuadPart;
    return ept::pointer_to(arch::HostPhysicalAddress{static_cast<std::uint64_t>(physical)});
}

void on_unload(PDRIVER_OBJECT) {}

}  // namespace

extern "C" NTSTATUS DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path) {
    driver->DriverUnload = on_unload;
    const auto* chosen = std::ranges::find_if(
        cases, [&](const Case& one) { return tests::is_service(*path, "endless-"sv, one.name); });
    if (chosen == cases.end()) {
        return STATUS_NOT_SUPPORTED;
    }
    const platform::PinnedToProcessor pinned;
    auto session = tests::TestSession::prepare(*driver);
    if (!session) {
        return windows::status_of(session.error().kind);
    }
    session->use_exit_path(chosen->guest == look_endless ? vmx::exit_path<careful>()
                                                         : vmx::exit_path<mistaken>());
    session->options.features[0] = {.add = exit_at_ports};
    if (chosen->name == "violation"sv) {
        session->options.epts[0] = empty_ept();
    }
    const auto guest_stop = session->run(chosen->guest, nullptr);
    if (!guest_stop) {
        tests::print_failure(guest_stop.error());
        return windows::status_of(guest_stop.error().kind);
    }
    return guest_stop->why == vmx::StopReason::stopped_by_guest ? STATUS_SUCCESS
                                                                : STATUS_UNSUCCESSFUL;
}
