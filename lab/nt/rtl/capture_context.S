// RtlCaptureContext: the caller's registers, as they are after its return.
//
// In assembly because drivers' VM-exit stubs call it first: it preserves every register but RAX and
// the flags, does not touch the caller's home space, and uses only one quadword of the stack, for
// the flags.  [Windows: RtlCaptureContext]

    .text
    .globl RtlCaptureContext
    .def RtlCaptureContext; .scl 2; .type 32; .endef
    .seh_proc RtlCaptureContext
RtlCaptureContext:
    pushfq
    .seh_stackalloc 8
    .seh_endprologue
    movq    %rax, 0x78(%rcx)
    movq    %rcx, 0x80(%rcx)
    movq    %rdx, 0x88(%rcx)
    movq    %rbx, 0x90(%rcx)
    leaq    16(%rsp), %rax              // RSP after the return
    movq    %rax, 0x98(%rcx)
    movq    %rbp, 0xA0(%rcx)
    movq    %rsi, 0xA8(%rcx)
    movq    %rdi, 0xB0(%rcx)
    movq    %r8, 0xB8(%rcx)
    movq    %r9, 0xC0(%rcx)
    movq    %r10, 0xC8(%rcx)
    movq    %r11, 0xD0(%rcx)
    movq    %r12, 0xD8(%rcx)
    movq    %r13, 0xE0(%rcx)
    movq    %r14, 0xE8(%rcx)
    movq    %r15, 0xF0(%rcx)
    movq    8(%rsp), %rax               // RIP: the return address
    movq    %rax, 0xF8(%rcx)
    movw    %cs, 0x38(%rcx)
    movw    %ds, 0x3A(%rcx)
    movw    %es, 0x3C(%rcx)
    movw    %fs, 0x3E(%rcx)
    movw    %gs, 0x40(%rcx)
    movw    %ss, 0x42(%rcx)
    movl    (%rsp), %eax
    movl    %eax, 0x44(%rcx)
    stmxcsr 0x34(%rcx)
    stmxcsr 0x118(%rcx)
    fnstcw  0x100(%rcx)
    movaps  %xmm0, 0x1A0(%rcx)
    movaps  %xmm1, 0x1B0(%rcx)
    movaps  %xmm2, 0x1C0(%rcx)
    movaps  %xmm3, 0x1D0(%rcx)
    movaps  %xmm4, 0x1E0(%rcx)
    movaps  %xmm5, 0x1F0(%rcx)
    movaps  %xmm6, 0x200(%rcx)
    movaps  %xmm7, 0x210(%rcx)
    movaps  %xmm8, 0x220(%rcx)
    movaps  %xmm9, 0x230(%rcx)
    movaps  %xmm10, 0x240(%rcx)
    movaps  %xmm11, 0x250(%rcx)
    movaps  %xmm12, 0x260(%rcx)
    movaps  %xmm13, 0x270(%rcx)
    movaps  %xmm14, 0x280(%rcx)
    movaps  %xmm15, 0x290(%rcx)
    // CONTEXT_AMD64 | control | integer | segments | floating point
    movl    $0x10000F, 0x30(%rcx)
    addq    $8, %rsp
    ret
    .seh_endproc

    .section .drectve,"yn"
    .ascii " /export:RtlCaptureContext"
