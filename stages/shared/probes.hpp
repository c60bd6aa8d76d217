// What guests execute to look at their VMM: one instruction with chosen registers, or one that must
// fault. With hypervisor/arch/instructions.hpp the only place that has inline assembly.
#pragma once

#include <cstdint>

#include "hypervisor/arch/control_registers.hpp"
#include "hypervisor/arch/instructions.hpp"
#include "hypervisor/arch/msr.hpp"

namespace hvp::stages {

// ---- One instruction with all registers chosen ------------------------------------------------

/// What `execute_with` can execute.
enum class Probe : std::uint8_t { hlt, cpuid, rdmsr, wrmsr, vmcall, read_cr3, write_cr3 };

/// The values of the general registers in the order of their numbers; RSP's place holds RFLAGS.
using RegisterValues = std::uint64_t[16];

// Loads RFLAGS and all general registers, executes `instruction`, stores them all. The pointer
// is on the stack meanwhile. RBX and RBP cannot be declared as changed, so they are saved by
// hand.
#define HVP_EXECUTE_WITH(instruction)                                                             \
    asm volatile(                                                                                 \
        "pushfq\n push %%rbp\n push %%rbx\n push %%rax\n push 32(%%rax)\n popfq\n"                \
        "mov 8(%%rax), %%rcx\n mov 16(%%rax), %%rdx\n mov 24(%%rax), %%rbx\n"                     \
        "mov 40(%%rax), %%rbp\n mov 48(%%rax), %%rsi\n mov 56(%%rax), %%rdi\n"                    \
        "mov 64(%%rax), %%r8\n mov 72(%%rax), %%r9\n mov 80(%%rax), %%r10\n"                      \
        "mov 88(%%rax), %%r11\n mov 96(%%rax), %%r12\n mov 104(%%rax), %%r13\n"                   \
        "mov 112(%%rax), %%r14\n mov 120(%%rax), %%r15\n mov (%%rax), %%rax\n" instruction        \
        "\n"                                                                                      \
        "pushfq\n xchg %%rax, 8(%%rsp)\n pop 32(%%rax)\n"                                         \
        "mov %%rcx, 8(%%rax)\n mov %%rdx, 16(%%rax)\n mov %%rbx, 24(%%rax)\n"                     \
        "mov %%rbp, 40(%%rax)\n mov %%rsi, 48(%%rax)\n mov %%rdi, 56(%%rax)\n"                    \
        "mov %%r8, 64(%%rax)\n mov %%r9, 72(%%rax)\n mov %%r10, 80(%%rax)\n"                      \
        "mov %%r11, 88(%%rax)\n mov %%r12, 96(%%rax)\n mov %%r13, 104(%%rax)\n"                   \
        "mov %%r14, 112(%%rax)\n mov %%r15, 120(%%rax)\n"                                         \
        "pop %%rcx\n mov %%rcx, (%%rax)\n pop %%rbx\n pop %%rbp\n popfq\n"                        \
        : "+a"(values)                                                                            \
        :                                                                                         \
        : "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "cc", \
          "memory")

/// Executes one instruction with `registers` in RFLAGS and the general registers, and stores in it
/// what they hold afterwards: so a guest sees whether an exit keeps its registers.
inline void execute_with(Probe probe, RegisterValues& registers) {
    std::uint64_t* values = registers;
    switch (probe) {
        case Probe::hlt:
            HVP_EXECUTE_WITH("hlt");
            break;
        case Probe::cpuid:
            HVP_EXECUTE_WITH("cpuid");
            break;
        case Probe::rdmsr:
            HVP_EXECUTE_WITH("rdmsr");
            break;
        case Probe::wrmsr:
            HVP_EXECUTE_WITH("wrmsr");
            break;
        case Probe::vmcall:
            HVP_EXECUTE_WITH("vmcall");
            break;
        case Probe::read_cr3:
            HVP_EXECUTE_WITH("mov %%cr3, %%rax");
            break;
        case Probe::write_cr3:
            HVP_EXECUTE_WITH("mov %%rax, %%cr3");
            break;
    }
}

#undef HVP_EXECUTE_WITH

// ---- One instruction that is expected to fault ------------------------------------------------

/// Instructions that a processor without VT-x, or outside VMX operation, refuses.
enum class Refused : std::uint8_t {
    vmcall,
    vmclear,
    vmfunc,
    vmlaunch,
    vmptrld,
    vmptrst,
    vmread,
    vmresume,
    vmwrite,
    vmxoff,
    vmxon,
    invept,
    invvpid,
    set_vmxe,      ///< MOV to CR4 that sets VMXE
    read_vmx_msr,  ///< RDMSR of IA32_VMX_BASIC
};

/// Where an instruction is that is going to fault: for the handler, which compares it with what the
/// processor has pushed, and continues after it.
struct Place {
    std::uint64_t at{};
    std::uint64_t after{};
    std::uint64_t rsp{};
};

// Notes where the instruction is, in `place`, and executes it with values that no VMM takes for a
// call.
#define HVP_EXECUTE_AT(instruction)                                                    \
    asm volatile(                                                                      \
        "leaq 1f(%%rip), %%rdx\n movq %%rdx, (%[place])\n"                             \
        "leaq 2f(%%rip), %%rdx\n movq %%rdx, 8(%[place])\n movq %%rsp, 16(%[place])\n" \
        "1: " instruction "\n 2:"                                                      \
        : "+a"(value), "+c"(index), [memory] "+m"(memory)                              \
        : [place] "r"(&place)                                                          \
        : "rdx", "cc", "memory")

/// Executes an instruction that raises an exception; the handler finds in `place` where it was, and
/// continues after it. RDX is changed.
///
/// Where    a guest of a VMM that hides VT-x, or outside VMX operation
[[gnu::always_inline]] inline void execute(Refused instruction, Place& place) {
    std::uint64_t value = 0;
    std::uint64_t index = 0;
    std::uint64_t memory[2] = {};
    switch (instruction) {
        case Refused::vmcall:
            HVP_EXECUTE_AT("vmcall");
            break;
        case Refused::vmclear:
            HVP_EXECUTE_AT("vmclear %[memory]");
            break;
        case Refused::vmfunc:
            HVP_EXECUTE_AT("vmfunc");
            break;
        case Refused::vmlaunch:
            HVP_EXECUTE_AT("vmlaunch");
            break;
        case Refused::vmptrld:
            HVP_EXECUTE_AT("vmptrld %[memory]");
            break;
        case Refused::vmptrst:
            HVP_EXECUTE_AT("vmptrst %[memory]");
            break;
        case Refused::vmread:
            HVP_EXECUTE_AT("vmread %%rax, %%rcx");
            break;
        case Refused::vmresume:
            HVP_EXECUTE_AT("vmresume");
            break;
        case Refused::vmwrite:
            HVP_EXECUTE_AT("vmwrite %%rcx, %%rax");
            break;
        case Refused::vmxoff:
            HVP_EXECUTE_AT("vmxoff");
            break;
        case Refused::vmxon:
            HVP_EXECUTE_AT("vmxon %[memory]");
            break;
        case Refused::invept:
            HVP_EXECUTE_AT("invept %[memory], %%rax");
            break;
        case Refused::invvpid:
            HVP_EXECUTE_AT("invvpid %[memory], %%rax");
            break;
        case Refused::set_vmxe:
            value = (arch::read_cr4() | arch::Cr4::vmx_enable).raw();
            HVP_EXECUTE_AT("mov %%rax, %%cr4");
            break;
        case Refused::read_vmx_msr:
            index = static_cast<std::uint32_t>(arch::Msr::vmx_basic);
            HVP_EXECUTE_AT("rdmsr");
            break;
    }
}

#undef HVP_EXECUTE_AT

}  // namespace hvp::stages
