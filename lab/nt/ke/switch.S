// From one stack to another. Only what a called function must preserve is saved: the caller's
// compiler has taken care of the rest, and XMM registers are part of ExtendedState.
// [Windows: x64 calling convention]

#include "lab/nt/rtl/preserved.inc"

    .text
// void switch_stacks(uint64_t* save_rsp, uint64_t load_rsp)
    .globl switch_stacks
    .def switch_stacks; .scl 2; .type 32; .endef
    .seh_proc switch_stacks
switch_stacks:
    push_preserved
    .seh_endprologue
    movq    %rsp, (%rcx)
    movq    %rdx, %rsp
    pop_preserved
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

// void call_on_stack(void (*routine)(void*), void* context, uint64_t stack_end)
// RBP holds the old stack pointer, and lets a stack walk continue on the old stack.
    .globl call_on_stack
    .def call_on_stack; .scl 2; .type 32; .endef
    .seh_proc call_on_stack
call_on_stack:
    pushq   %rbp
    .seh_pushreg %rbp
    movq    %rsp, %rbp
    .seh_setframe %rbp, 0
    .seh_endprologue
    leaq    -32(%r8), %rsp
    movq    %rcx, %rax
    movq    %rdx, %rcx
    call    *%rax
    movq    %rbp, %rsp
    popq    %rbp
    ret
    .seh_endproc
