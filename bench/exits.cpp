// A guest that does nothing but leave: what does an exit cost? The service name, the last part of
// the registry path, chooses who handles its exits.
//
//   bench-vmm     the VMM of hypervisor/, trace off
//   bench-traced  the same, each exit noted in the ring
//   bench-floor   the floor of floor.S; CPUID only, like
//   bench-bare    the bare minimum
//   answers-vmm, answers-floor: not for measuring; do the two give the same answers?
//
// The processor's own log has the ticks. The driver reports whether the exits were right.
#include <array>
#include <bit>
#include <cstdint>
#include <span>
#include <string_view>

#include "bench/floor.hpp"
#include "hypervisor/arch/descriptor_tables.hpp"
#include "hypervisor/exits/cpuid.hpp"
#include "hypervisor/exits/hypercall.hpp"
#include "hypervisor/vcpu/guest_registers.hpp"
#include "hypervisor/vmcs/event_information.hpp"
#include "platform/host.hpp"
#include "platform/windows/nt.hpp"
#include "platform/windows/status.hpp"
#include "stages/shared/probes.hpp"
#include "tests/drivers/probe_operands.hpp"
#include "tests/drivers/service_name.hpp"
#include "tests/drivers/test_session.hpp"

namespace {

using namespace hvp;
using namespace std::string_view_literals;
using stages::Probe;
using vmx::GuestRegisters;
using vmx::Register;

/// Eight times this fits into the trace's ring; an event that is dropped costs less.
constexpr std::uint64_t times = 100;
constexpr std::array all_probes{Probe::cpuid,  Probe::hlt,      Probe::rdmsr,    Probe::wrmsr,
                                Probe::vmcall, Probe::read_cr3, Probe::write_cr3};

/// What the guest shall do, and the result.
struct Work {
    std::span<const Probe> probes;
    bool is_refused_too{};  ///< and VMXOFF
    std::uint64_t done{};
    std::uint64_t changed{};  ///< exits after which a register was not what it should be
    std::uint64_t answers{};  ///< a sum over all answers
    std::int64_t step{};      ///< how far after CPUID its single step was seen
};

/// What the guest cannot ask without an exit.
struct BeforeLaunch {
    arch::CpuidResult leaf_0;
    std::uint64_t cr3;
} before_launch;

[[noreturn]] void stop() {
    (void)vmx::hypercall(vmx::Hypercall::stop, 0);
    for (;;) {
        arch::hlt();
    }
}

/// Different values in all registers, chosen ones where the instruction needs them. In the place of
/// RSP: RFLAGS.
GuestRegisters choose_registers(Probe probe) {
    constexpr std::uint64_t always_one = 2;
    GuestRegisters registers;
    for (std::uint8_t i = 0; i < 16; ++i) {
        registers[static_cast<Register>(i)] = 0x0123'4567'89AB'CDEF * (i + 1);
    }
    registers[Register::rsp] = always_one;
    tests::put_operands(registers, probe, 0, before_launch.cr3);
    return registers;
}

/// What the registers must be after the instruction.
GuestRegisters expected(Probe probe, GuestRegisters registers) {
    const arch::CpuidResult& cpuid = before_launch.leaf_0;
    switch (probe) {
        case Probe::cpuid:
            registers[Register::rax] = cpuid.eax;
            registers[Register::rbx] = cpuid.ebx;
            registers[Register::rcx] = cpuid.ecx;
            registers[Register::rdx] = cpuid.edx;
            break;
        case Probe::rdmsr:
            registers.set_edx_eax(1);
            break;
        case Probe::vmcall:
            registers[Register::rax] = static_cast<std::uint64_t>(vmx::HypercallStatus::success);
            registers[Register::rdx] = registers[Register::rcx] + 1;
            break;
        case Probe::read_cr3:
            registers[Register::rax] = before_launch.cr3;
            break;
        case Probe::hlt:
        case Probe::wrmsr:
        case Probe::write_cr3:
            break;
    }
    return registers;
}

/// Windows' table with another gate for one vector.
std::array<arch::InterruptGate, 256> own_idt;

/// Loads it. Returns Windows' own.
arch::TableRegister use_gate(vmx::Vector vector, void (*handler)()) {
    const arch::TableRegister windows = arch::sidt();
    const auto* const gates = std::bit_cast<const arch::InterruptGate*>(windows.base);
    for (std::size_t i = 0; i < own_idt.size(); ++i) {
        own_idt[i] = gates[i];
    }
    own_idt[static_cast<std::size_t>(vector)] =
        arch::interrupt_gate(std::bit_cast<std::uint64_t>(handler), arch::read_cs(), 0);
    arch::lidt({.limit_bytes = sizeof own_idt - 1, .base = std::bit_cast<std::uint64_t>(&own_idt)});
    return windows;
}

/// An instruction that the VMM answers with an exception.
void be_refused(Work& work) {
    const arch::TableRegister windows =
        use_gate(vmx::Vector::invalid_opcode, bench::hvp_bench_on_invalid_opcode);
    for (std::uint64_t i = 0; i < times; ++i) {
        bench::hvp_bench_vmxoff();
        ++work.done;
    }
    arch::lidt(windows);
}

/// Nothing in the loop causes an exit but the instruction itself.
[[noreturn]] void leave_often(void* argument) {
    Work& work = *static_cast<Work*>(argument);
    for (const Probe probe : work.probes) {
        const GuestRegisters before = choose_registers(probe);
        const GuestRegisters wanted = expected(probe, before);
        for (std::uint64_t i = 0; i < times; ++i) {
            GuestRegisters registers = before;
            stages::execute_with(probe, registers.values());
            work.changed += registers == wanted ? 0 : 1;
            ++work.done;
        }
    }
    if (work.is_refused_too) {
        be_refused(work);
    }
    stop();
}

std::int64_t step_over_cpuid() {
    const arch::TableRegister windows = use_gate(vmx::Vector::debug, bench::hvp_bench_on_debug);
    const std::int64_t distance = bench::hvp_bench_step_over_cpuid();
    arch::lidt(windows);
    return distance;
}

/// CPUID's leaves of every kind, and a single step over it.
[[noreturn]] void ask(void* argument) {
    constexpr std::array<std::uint32_t, 10> leaves{
        0,           1,           2,          7, 0xD, vmx::first_vmm_leaf, vmx::last_vmm_leaf,
        0x4000'00FF, 0x4000'0100, 0x8000'0001};
    Work& work = *static_cast<Work*>(argument);
    for (const std::uint32_t leaf : leaves) {
        GuestRegisters registers = choose_registers(Probe::cpuid);
        registers[Register::rax] = 0xFFFF'FFFF'0000'0000 | leaf;
        registers[Register::rcx] = 0;
        stages::execute_with(Probe::cpuid, registers.values());
        work.answers = std::rotl(work.answers, 11) + registers.sum();
        ++work.done;
    }
    work.step = step_over_cpuid();
    stop();
}

struct Case {
    std::string_view name;  ///< of the service
    void (*exit)();         ///< HOST_RIP; none: the VMM's
    bool traced;
    std::span<const Probe> probes;
    void (*guest)(void*);
    bool is_refused_too{};
};

constexpr std::span<const Probe> cpuid_only = std::span{all_probes}.first<1>();
constexpr std::array cases{
    Case{"bench-vmm"sv, nullptr, false, all_probes, leave_often, true},
    Case{"bench-traced"sv, nullptr, true, all_probes, leave_often, true},
    Case{"bench-floor"sv, bench::hvp_bench_floor_exit, false, cpuid_only, leave_often},
    Case{"bench-bare"sv, bench::hvp_bench_bare_exit, false, cpuid_only, leave_often},
    Case{"answers-vmm"sv, nullptr, false, {}, ask},
    Case{"answers-floor"sv, bench::hvp_bench_floor_exit, false, {}, ask},
};

const Case* find_case(const UNICODE_STRING& path) {
    for (const Case& one : cases) {
        if (tests::is_service(path, {}, one.name)) {
            return &one;
        }
    }
    return nullptr;
}

void on_unload(PDRIVER_OBJECT) {}

}  // namespace

extern "C" NTSTATUS DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path) {
    driver->DriverUnload = on_unload;
    const Case* const chosen = find_case(*path);
    if (chosen == nullptr) {
        return STATUS_NOT_SUPPORTED;
    }
    const platform::PinnedToProcessor pinned;
    auto session = tests::TestSession::prepare(*driver);
    if (!session) {
        tests::print_failure(session.error());
        return windows::status_of(session.error().kind);
    }
    if (chosen->traced) {
        session->use_exit_path(vmx::traced_exits());
    }
    if (chosen->exit != nullptr) {
        session->options.exit_code = chosen->exit;
        session->vmm().frame()->resume = bench::hvp_bench_floor_resume;
    }
    before_launch = {.leaf_0 = arch::cpuid(0), .cr3 = arch::read_cr3()};
    Work work{.probes = chosen->probes, .is_refused_too = chosen->is_refused_too};
    const auto guest_stop = session->run(chosen->guest, &work);
    if (!guest_stop) {
        tests::print_failure(guest_stop.error());
        return windows::status_of(guest_stop.error().kind);
    }
    tests::print_event("ExitsDone done=%llu changed=%llu answers=0x%llx step=%lld\n", work.done,
                       work.changed, work.answers, work.step);
    // The two loops of floor.S note no reason when they leave.
    const bool stopped =
        guest_stop->why ==
        (chosen->exit == nullptr ? vmx::StopReason::stopped_by_guest : vmx::StopReason::none);
    const bool complete =
        chosen->guest == ask ||
        work.done == times * (chosen->probes.size() + (chosen->is_refused_too ? 1 : 0));
    return stopped && complete && work.changed == 0 ? STATUS_SUCCESS : STATUS_UNSUCCESSFUL;
}
