// From one stack to another. Only what a called function must preserve is saved: the caller's
// compiler has taken care of the rest.  [Windows: x64 calling convention]

    .text
// void switch_stacks(uint64_t* save_rsp, uint64_t load_rsp)
    .globl switch_stacks
    .def switch_stacks; .scl 2; .type 32; .endef
    .seh_proc switch_stacks
switch_stacks:
    pushq   %rbx
    .seh_pushreg %rbx
    pushq   %rbp
    .seh_pushreg %rbp
    pushq   %rsi
    .seh_pushreg %rsi
    pushq   %rdi
    .seh_pushreg %rdi
    pushq   %r12
    .seh_pushreg %r12
    pushq   %r13
    .seh_pushreg %r13
    pushq   %r14
    .seh_pushreg %r14
    pushq   %r15
    .seh_pushreg %r15
    subq    $168, %rsp
    .seh_stackalloc 168
    .seh_endprologue
    movups  %xmm6, (%rsp)
    movups  %xmm7, 16(%rsp)
    movups  %xmm8, 32(%rsp)
    movups  %xmm9, 48(%rsp)
    movups  %xmm10, 64(%rsp)
    movups  %xmm11, 80(%rsp)
    movups  %xmm12, 96(%rsp)
    movups  %xmm13, 112(%rsp)
    movups  %xmm14, 128(%rsp)
    movups  %xmm15, 144(%rsp)
    movq    %rsp, (%rcx)
    movq    %rdx, %rsp
    movups  (%rsp), %xmm6
    movups  16(%rsp), %xmm7
    movups  32(%rsp), %xmm8
    movups  48(%rsp), %xmm9
    movups  64(%rsp), %xmm10
    movups  80(%rsp), %xmm11
    movups  96(%rsp), %xmm12
    movups  112(%rsp), %xmm13
    movups  128(%rsp), %xmm14
    movups  144(%rsp), %xmm15
    addq    $168, %rsp
    popq    %r15
    popq    %r14
    popq    %r13
    popq    %r12
    popq    %rdi
    popq    %rsi
    popq    %rbp
    popq    %rbx
    ret
    .seh_endproc

// The first thing that a new thread runs: switch_stacks "returns" here. Above it on the stack is
// the address 0, so that a walk over the stack ends.
    .globl thread_start
    .def thread_start; .scl 2; .type 32; .endef
    .seh_proc thread_start
thread_start:
    subq    $40, %rsp
    .seh_stackalloc 40
    .seh_endprologue
    call    thread_main
    ud2
    .seh_endproc
