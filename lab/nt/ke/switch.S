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
