// The probing instructions, each with a label that the trap handler looks for. These functions have
// no stack frame, so each can continue at probe_failed, which returns 0.

    .text
    .globl probe_rdmsr, probe_rdmsr_instruction
    .def probe_rdmsr; .scl 2; .type 32; .endef
probe_rdmsr:
    movq    %rdx, %r8
probe_rdmsr_instruction:
    rdmsr
    shlq    $32, %rdx
    orq     %rdx, %rax
    movq    %rax, (%r8)
    movl    $1, %eax
    ret

    .globl probe_wrmsr, probe_wrmsr_instruction
    .def probe_wrmsr; .scl 2; .type 32; .endef
probe_wrmsr:
    movl    %edx, %eax
    shrq    $32, %rdx
probe_wrmsr_instruction:
    wrmsr
    movl    $1, %eax
    ret

    .globl probe_vmptrst, probe_vmptrst_instruction
    .def probe_vmptrst; .scl 2; .type 32; .endef
probe_vmptrst:
probe_vmptrst_instruction:
    vmptrst (%rcx)
    movl    $1, %eax
    ret

    .globl probe_failed
probe_failed:
    xorl    %eax, %eax
    ret
