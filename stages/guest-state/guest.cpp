#include "stages/guest-state/guest.hpp"

#include <span>
#include <utility>

#include "hypervisor/exits/cpuid.hpp"
#include "hypervisor/exits/hypercall.hpp"

namespace hvp::guest_state {
namespace {

using stages::Probe;
using vmx::Register;

/// xorshift64: the values need only be different in every run and every register.
std::uint64_t next_random(std::uint64_t& state) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

std::span<const Register> written_by(Probe instruction) {
    static constexpr std::array cpuid{Register::rax, Register::rbx, Register::rcx, Register::rdx};
    static constexpr std::array pair{Register::rax, Register::rdx};
    static constexpr std::array accumulator{Register::rax};
    switch (instruction) {
        case Probe::cpuid:
            return cpuid;
        case Probe::rdmsr:
        case Probe::vmcall:
            return pair;
        case Probe::read_cr3:
            return accumulator;
        case Probe::hlt:
        case Probe::wrmsr:
        case Probe::write_cr3:
            return {};
    }
    return {};
}

/// Chosen values where the instruction needs them, random ones elsewhere. `cr3` is what reading CR3
/// has given: reading it again would be one exit more.
void fill(Step& step, std::uint64_t& random, std::uint64_t cr3) {
    for (std::uint8_t i = 0; i < 16; ++i) {
        step.before[static_cast<Register>(i)] = next_random(random);
    }
    // In the place of RSP: RFLAGS with random status flags.
    // [SDM 3A 2.3 "System Flags and Fields in the EFLAGS Register"]
    constexpr std::uint64_t status_flags = 0x8D5;
    constexpr std::uint64_t always_one = 2;
    step.before[Register::rsp] = (step.before[Register::rsp] & status_flags) | always_one;
    step.before[Register::rax] = step.rax;
    step.before[Register::rcx] = step.rcx;
    if (step.instruction == Probe::wrmsr) {
        step.before.set_edx_eax(arch::rdmsr(arch::Msr::efer));
    }
    if (step.instruction == Probe::write_cr3) {
        step.before[Register::rax] = cr3;
    }
}

}  // namespace

Steps plan() {
    constexpr auto efer = static_cast<std::uint64_t>(arch::Msr::efer);
    constexpr auto feature_control = static_cast<std::uint64_t>(arch::Msr::feature_control);
    constexpr auto ping = static_cast<std::uint64_t>(vmx::Hypercall::ping);
    constexpr auto exit_count = static_cast<std::uint64_t>(vmx::Hypercall::exit_count);
    return {
        Step{.instruction = Probe::hlt, .rax = 0x1111'1111'1111'1111, .rcx = 0x2222'2222'2222'2222},
        Step{.instruction = Probe::cpuid, .rax = vmx::first_vmm_leaf},
        Step{.instruction = Probe::cpuid, .rax = 1},
        Step{.instruction = Probe::rdmsr, .rcx = feature_control},
        Step{.instruction = Probe::wrmsr, .rcx = efer},
        Step{.instruction = Probe::read_cr3},
        Step{.instruction = Probe::write_cr3},
        Step{.instruction = Probe::vmcall, .rax = ping, .rcx = 41},
        Step{.instruction = Probe::hlt, .rax = 0x3333'3333'3333'3333, .rcx = 0x4444'4444'4444'4444},
        Step{.instruction = Probe::vmcall,
             .rax = exit_count,
             .rcx = number_of(vmx::ExitReason::hlt)},
    };
}

void guest_main(void* argument) {
    Mailbox& mailbox = *static_cast<Mailbox*>(argument);
    std::uint64_t random = mailbox.seed | 1;
    std::uint64_t cr3 = 0;
    for (Step& step : mailbox.steps) {
        fill(step, random, cr3);
        step.after = step.before;
        stages::execute_with(step.instruction, step.after.values());
        if (step.instruction == Probe::read_cr3) {
            cr3 = step.after[Register::rax];
        }
        ++mailbox.steps_done;
    }
    (void)vmx::hypercall(vmx::Hypercall::stop, 0);
    for (;;) {
        arch::hlt();  // never reached; and if it is, it is an exit
    }
}

bool registers_kept(const Step& step) {
    vmx::GuestRegisters expected = step.before;
    for (const Register written : written_by(step.instruction)) {
        expected[written] = step.after[written];
    }
    return expected == step.after;
}

bool answered_right(const Step& step) {
    const vmx::GuestRegisters& after = step.after;
    switch (step.instruction) {
        case Probe::cpuid:
            return step.rax == vmx::first_vmm_leaf
                       ? after[Register::rbx] == vmx::vmm_identity.rbx
                       : (after[Register::rcx] & arch::cpuid_1_ecx_vmx) == 0 &&
                             (after[Register::rcx] & arch::cpuid_1_ecx_hypervisor) != 0;
        case Probe::rdmsr:
            return after.edx_eax() == 1;
        case Probe::read_cr3:
            return after[Register::rax] == arch::read_cr3();
        case Probe::vmcall:
            // ping answers 41 + 1; the count of HLT exits is two by then.
            return after[Register::rax] == 0 &&
                   after[Register::rdx] ==
                       (step.rcx == number_of(vmx::ExitReason::hlt) ? 2 : step.rcx + 1);
        case Probe::hlt:
        case Probe::wrmsr:
        case Probe::write_cr3:
            return true;
    }
    return false;
}

}  // namespace hvp::guest_state
