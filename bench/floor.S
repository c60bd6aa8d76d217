# The two exit handlers that ours is measured against, and a single step over CPUID.
#
# RSP is HOST_RSP, the VmmFrame of hypervisor/vcpu/virtual_processor.hpp. hvp_leave_vmm
# (hypervisor/vcpu/entry.S) leaves the guest.

#include "hypervisor/vcpu/vmm_frame.inc"

    .intel_syntax noprefix
    .text

EXIT_REASON = 0x4402
EXIT_INSTRUCTION_LENGTH = 0x440C
GUEST_INTERRUPTIBILITY_STATE = 0x4824
GUEST_DEBUGCTL = 0x2802
GUEST_CR4 = 0x6804
GUEST_RIP = 0x681E
GUEST_RFLAGS = 0x6820
GUEST_PENDING_DEBUG_EXCEPTIONS = 0x6822

REASON_CPUID = 10

# ---- The honest floor: 61 instructions for a CPUID of an ordinary leaf --------------------------

    .globl hvp_bench_floor_exit
hvp_bench_floor_exit:
    FOR_EACH_GUEST_REGISTER SAVE
    mov r8d, EXIT_REASON
    vmread r9, r8
    cmp r9d, REASON_CPUID
    jne hvp_leave_vmm

    # EAX and ECX are still the guest's. 40000000H to 400000FFH are the VMM's own leaves.
    lea r9d, [rax - 0x40000000]
    cmp r9d, 0xFF
    jbe vmm_leaf
    cpuid
    cmp dword ptr [rsp + 32], 1     # the leaf
    je features
    cmp dword ptr [rsp + 32], 7
    je structured_features
answered:
    SAVE rax, 0
    SAVE rcx, 1
    SAVE rdx, 2
    SAVE rbx, 3

    # What the processor does at the end of an instruction; see step_over_instruction.
    mov eax, GUEST_RIP
    vmread rcx, rax
    mov edx, EXIT_INSTRUCTION_LENGTH
    vmread rbx, rdx
    add rcx, rbx
    vmwrite rax, rcx
    mov eax, GUEST_INTERRUPTIBILITY_STATE
    vmread rcx, rax
    test cl, 3                      # blocking by STI, by MOV SS
    jnz end_blocking
blocking_ended:
    mov eax, GUEST_RFLAGS
    vmread rcx, rax
    test ch, 1                      # TF
    jnz single_step
stepped:
    FOR_EACH_GUEST_REGISTER LOAD
    vmresume
    jmp hvp_leave_vmm

features:
    and ecx, ~(1 << 5)              # no VT-x
    bts ecx, 31                     # a VMM is present
    mov r8d, GUEST_CR4
    vmread r8, r8
    btr ecx, 27                     # OSXSAVE as in the guest's CR4
    bt r8d, 18
    jnc answered
    bts ecx, 27
    jmp answered

structured_features:
    mov r8d, GUEST_CR4
    vmread r8, r8
    btr ecx, 4                      # OSPKE as in the guest's CR4
    bt r8d, 22
    jnc answered
    bts ecx, 4
    jmp answered

vmm_leaf:
    xor eax, eax
    xor ebx, ebx
    xor ecx, ecx
    xor edx, edx
    cmp r9d, 1
    ja answered
    mov eax, 0x31505648             # "HVP1"
    je answered
    mov eax, 0x40000001
    mov ebx, 0x6C505648             # "HVPl"
    mov ecx, 0x72677961             # "aygr"
    mov edx, 0x646E756F             # "ound"
    jmp answered

end_blocking:
    and ecx, ~3
    vmwrite rax, rcx
    jmp blocking_ended

single_step:
    mov eax, GUEST_DEBUGCTL
    vmread rcx, rax
    test cl, 2                      # BTF: branches only
    jnz stepped
    mov eax, GUEST_PENDING_DEBUG_EXCEPTIONS
    vmread rcx, rax
    bts rcx, 14                     # BS
    vmwrite rax, rcx
    jmp stepped

# ---- The bare minimum: 18 -----------------------------------------------------------------------

    .globl hvp_bench_bare_exit
hvp_bench_bare_exit:
    SAVE rax, 0
    SAVE rcx, 1
    SAVE rdx, 2
    SAVE rbx, 3
    mov eax, EXIT_REASON
    vmread rbx, rax
    cmp ebx, REASON_CPUID
    jne hvp_leave_vmm
    mov eax, GUEST_RIP
    vmread rbx, rax
    add rbx, 2
    vmwrite rax, rbx
    LOAD rax, 0
    LOAD rcx, 1
    LOAD rdx, 2
    LOAD rbx, 3
    cpuid
    vmresume
    jmp hvp_leave_vmm

# ---- The guest's single step --------------------------------------------------------------------

    .globl hvp_bench_step_over_cpuid
hvp_bench_step_over_cpuid:
    .seh_proc hvp_bench_step_over_cpuid
    push rbx
    .seh_pushreg rbx
    .seh_endprologue
    lea r8, [rip + behind_cpuid - 1]
    mov r9, r8                      # what hvp_bench_on_debug leaves here; this: it did not come
    xor eax, eax
    pushfq
    or dword ptr [rsp], 1 << 8
    popfq                           # TF has an effect from the end of the next instruction on
    cpuid
behind_cpuid:
    nop
    mov rax, r9
    sub rax, r8
    dec rax
    pop rbx
    ret
    .seh_endproc

    .globl hvp_bench_on_debug
hvp_bench_on_debug:
    mov r9, [rsp]                   # RIP
    and dword ptr [rsp + 16], ~(1 << 8)
    iretq
