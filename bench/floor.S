# The two exit handlers that ours is measured against, and what their guest needs beside.
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
GUEST_CS_ACCESS_RIGHTS = 0x4816
GUEST_RIP = 0x681E
GUEST_RFLAGS = 0x6820
GUEST_PENDING_DEBUG_EXCEPTIONS = 0x6822

REASON_CPUID = 10

# ---- The floor: 30 instructions for a CPUID of an ordinary leaf ---------------------------------
#
# CPUID gives RAX, RBX, RCX and RDX new values and needs only EAX and ECX. So RBX and RDX are free
# for all that comes before it, and no register of the guest has to be saved.

SCRATCH = 8                         # the frame's home space

    .globl hvp_bench_floor_exit
hvp_bench_floor_exit:
    mov edx, EXIT_REASON
    vmread rbx, rdx
    cmp ebx, REASON_CPUID
    jne hvp_leave_vmm

    # What the processor does at the end of an instruction; see step_over_instruction.
    mov edx, EXIT_INSTRUCTION_LENGTH
    vmread rbx, rdx
    mov edx, GUEST_RIP
    vmread [rsp + SCRATCH], rdx
    add rbx, [rsp + SCRATCH]
    cmp ebx, [rsp + SCRATCH]        # across a multiple of 4 GiB?
    jb wrapped
rip_moves:
    vmwrite rdx, rbx
    mov edx, GUEST_INTERRUPTIBILITY_STATE
    vmread rbx, rdx
    test bl, 3                      # blocking by STI, by MOV SS
    jnz end_blocking
blocking_ended:
    mov edx, GUEST_RFLAGS
    vmread rbx, rdx
    test bh, 1                      # TF
    jnz single_step
stepped:

    # 40000000H to 400000FFH are the VMM's own leaves.
    lea ebx, [rax - 0x40000000]
    cmp ebx, 0xFF
    jbe vmm_leaf
    cmp eax, 1
    je features
    cmp eax, 7
    je structured_features
    cpuid
answered:
    jmp [rsp + RESUME]              # hvp_bench_floor_resume; an NMI would change it, see entry.S

    .globl hvp_bench_floor_resume
hvp_bench_floor_resume:
    vmresume
    jmp hvp_leave_vmm

wrapped:
    mov edx, GUEST_CS_ACCESS_RIGHTS
    vmread rdx, rdx
    bt edx, 13                      # L: 64-bit code goes on above
    jc is_64_bit
    mov ebx, ebx
is_64_bit:
    mov edx, GUEST_RIP
    jmp rip_moves

features:
    cpuid
    and ecx, ~(1 << 5)              # no VT-x
    bts ecx, 31                     # a VMM is present
    mov [rsp + SCRATCH], r8
    mov r8d, GUEST_CR4
    vmread r8, r8
    btr ecx, 27                     # OSXSAVE as in the guest's CR4
    bt r8d, 18
    mov r8, [rsp + SCRATCH]
    jnc answered
    bts ecx, 27
    jmp answered

structured_features:
    cpuid
    mov [rsp + SCRATCH], r8
    mov r8d, GUEST_CR4
    vmread r8, r8
    btr ecx, 4                      # OSPKE as in the guest's CR4
    bt r8d, 22
    mov r8, [rsp + SCRATCH]
    jnc answered
    bts ecx, 4
    jmp answered

vmm_leaf:
    cmp ebx, 1
    mov eax, 0                      # MOV leaves the flags
    mov ebx, 0
    mov ecx, 0
    mov edx, 0
    ja answered
    mov eax, 0x31505648             # "HVP1"
    je answered
    mov eax, 0x40000001
    mov ebx, 0x6C505648             # "HVPl"
    mov ecx, 0x72677961             # "aygr"
    mov edx, 0x646E756F             # "ound"
    jmp answered

end_blocking:
    and ebx, ~3
    vmwrite rdx, rbx
    jmp blocking_ended

single_step:
    mov edx, GUEST_DEBUGCTL
    vmread rbx, rdx
    test bl, 2                      # BTF: branches only
    jnz stepped
    mov edx, GUEST_PENDING_DEBUG_EXCEPTIONS
    vmread rbx, rdx
    bts rbx, 14                     # BS
    vmwrite rdx, rbx
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

# ---- The guest's invalid opcode -----------------------------------------------------------------

VMXOFF_BYTES = 3

    .globl hvp_bench_vmxoff
hvp_bench_vmxoff:
    vmxoff
    ret

    .globl hvp_bench_on_invalid_opcode
hvp_bench_on_invalid_opcode:
    add qword ptr [rsp], VMXOFF_BYTES
    iretq

# ---- The guest's single step --------------------------------------------------------------------

    .globl hvp_bench_step_over_cpuid
hvp_bench_step_over_cpuid:
    .seh_proc hvp_bench_step_over_cpuid
    push rbx
    .seh_pushreg rbx
    .seh_endprologue
    lea r8, [rip + after_cpuid - 1]
    mov r9, r8                      # what hvp_bench_on_debug leaves here; this: it did not come
    xor eax, eax
    pushfq
    or dword ptr [rsp], 1 << 8
    popfq                           # TF has an effect from the end of the next instruction on
    cpuid
after_cpuid:
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
