// RtlRestoreContext: continues where a CONTEXT was captured. It ends in IRETQ, so the stack segment
// and the flags come from the CONTEXT too. A record (for longjmp and the like) is not looked at.
// [Windows: RtlRestoreContext]

    .text
    .globl RtlRestoreContext
    .def RtlRestoreContext; .scl 2; .type 32; .endef
    .seh_proc RtlRestoreContext
RtlRestoreContext:
    subq    $0x28, %rsp
    .seh_stackalloc 0x28
    .seh_endprologue
    // Until IRETQ the frame for it lies on this stack, below whatever the CONTEXT's RSP points to.
    movzwl  0x42(%rcx), %eax
    movq    %rax, 0x20(%rsp)            // SS
    movq    0x98(%rcx), %rax
    movq    %rax, 0x18(%rsp)            // RSP
    movl    0x44(%rcx), %eax
    movq    %rax, 0x10(%rsp)            // RFLAGS
    movzwl  0x38(%rcx), %eax
    movq    %rax, 0x08(%rsp)            // CS
    movq    0xF8(%rcx), %rax
    movq    %rax, (%rsp)                // RIP
    ldmxcsr 0x34(%rcx)
    movaps  0x1A0(%rcx), %xmm0
    movaps  0x1B0(%rcx), %xmm1
    movaps  0x1C0(%rcx), %xmm2
    movaps  0x1D0(%rcx), %xmm3
    movaps  0x1E0(%rcx), %xmm4
    movaps  0x1F0(%rcx), %xmm5
    movaps  0x200(%rcx), %xmm6
    movaps  0x210(%rcx), %xmm7
    movaps  0x220(%rcx), %xmm8
    movaps  0x230(%rcx), %xmm9
    movaps  0x240(%rcx), %xmm10
    movaps  0x250(%rcx), %xmm11
    movaps  0x260(%rcx), %xmm12
    movaps  0x270(%rcx), %xmm13
    movaps  0x280(%rcx), %xmm14
    movaps  0x290(%rcx), %xmm15
    movq    0x78(%rcx), %rax
    movq    0x88(%rcx), %rdx
    movq    0x90(%rcx), %rbx
    movq    0xA0(%rcx), %rbp
    movq    0xA8(%rcx), %rsi
    movq    0xB0(%rcx), %rdi
    movq    0xB8(%rcx), %r8
    movq    0xC0(%rcx), %r9
    movq    0xC8(%rcx), %r10
    movq    0xD0(%rcx), %r11
    movq    0xD8(%rcx), %r12
    movq    0xE0(%rcx), %r13
    movq    0xE8(%rcx), %r14
    movq    0xF0(%rcx), %r15
    movq    0x80(%rcx), %rcx
    iretq
    .seh_endproc

    .section .drectve,"yn"
    .ascii " /export:RtlRestoreContext"
