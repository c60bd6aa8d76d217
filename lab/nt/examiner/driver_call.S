// Calls the driver with known values in all registers that it has to preserve, and stores their
// values when it returns. RCX points to a DriverCall; the offsets are driver_call.hpp's.

#include "lab/nt/rtl/preserved.inc"

    .text
// void call_driver(DriverCall*)
    .globl call_driver
    .def call_driver; .scl 2; .type 32; .endef
    .seh_proc call_driver
call_driver:
    push_preserved
    subq    $40, %rsp                   // home space, and a place for RCX: RSP is a multiple of 16
    .seh_stackalloc 40
    .seh_endprologue
    movq    %rcx, 32(%rsp)
    movq    56(%rcx), %rbx
    movq    64(%rcx), %rbp
    movq    72(%rcx), %rsi
    movq    80(%rcx), %rdi
    movq    88(%rcx), %r12
    movq    96(%rcx), %r13
    movq    104(%rcx), %r14
    movq    112(%rcx), %r15
    movaps  192(%rcx), %xmm6
    movaps  208(%rcx), %xmm7
    movaps  224(%rcx), %xmm8
    movaps  240(%rcx), %xmm9
    movaps  256(%rcx), %xmm10
    movaps  272(%rcx), %xmm11
    movaps  288(%rcx), %xmm12
    movaps  304(%rcx), %xmm13
    movaps  320(%rcx), %xmm14
    movaps  336(%rcx), %xmm15
    movq    (%rcx), %rax
    movq    16(%rcx), %rdx
    pushq   32(%rcx)                    // RFLAGS for the driver
    popfq
    movq    8(%rcx), %rcx
    call    *%rax
    pushfq
    popq    %r11
    pushq   $2                          // interrupts off, all other flags as compiled code wants
    popfq
    movq    32(%rsp), %rcx
    movq    %rax, 24(%rcx)
    movq    %r11, 40(%rcx)
    movq    %cr8, %rax
    movq    %rax, 48(%rcx)
    movq    %rbx, 120(%rcx)
    movq    %rbp, 128(%rcx)
    movq    %rsi, 136(%rcx)
    movq    %rdi, 144(%rcx)
    movq    %r12, 152(%rcx)
    movq    %r13, 160(%rcx)
    movq    %r14, 168(%rcx)
    movq    %r15, 176(%rcx)
    movaps  %xmm6, 352(%rcx)
    movaps  %xmm7, 368(%rcx)
    movaps  %xmm8, 384(%rcx)
    movaps  %xmm9, 400(%rcx)
    movaps  %xmm10, 416(%rcx)
    movaps  %xmm11, 432(%rcx)
    movaps  %xmm12, 448(%rcx)
    movaps  %xmm13, 464(%rcx)
    movaps  %xmm14, 480(%rcx)
    movaps  %xmm15, 496(%rcx)
    addq    $40, %rsp
    pop_preserved
    ret
    .seh_endproc
