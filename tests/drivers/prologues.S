// Prologues as compilers other than ours write them, one for each way in which unwind data tells
// where a register was saved. Each routine changes all registers that it has saved, and then calls
// what it was given: void routine(void (*work)()).  [Windows: x64 exception handling]
//
// contract_frames.cpp lets `work` fault; tests/unit/lab_nt/unwind_images_test.cpp reads them from the
// file.

    .text
    .macro routine name
    .globl \name
    .def \name; .scl 2; .type 32; .endef
    .balign 16
    .seh_proc \name
\name:
    .endm

// In the caller's home space, told from where RSP is behind the prologue.
    routine saved_in_home
    movq    %rbx, 8(%rsp)
    movq    %rsi, 16(%rsp)
    pushq   %rdi
    .seh_pushreg %rdi
    subq    $0x20, %rsp
    .seh_stackalloc 0x20
    .seh_savereg %rbx, 0x30
    .seh_savereg %rsi, 0x38
    .seh_endprologue
    xorl    %ebx, %ebx
    xorl    %esi, %esi
    xorl    %edi, %edi
    callq   *%rcx
    nop
    movq    0x30(%rsp), %rbx
    movq    0x38(%rsp), %rsi
    addq    $0x20, %rsp
    popq    %rdi
    ret
    .seh_endproc

// From the frame register, which stays while RSP moves on.
    routine saved_below_frame_register
    pushq   %rbp
    .seh_pushreg %rbp
    subq    $0x70, %rsp
    .seh_stackalloc 0x70
    leaq    0x20(%rsp), %rbp
    .seh_setframe %rbp, 0x20
    movq    %r12, 0x10(%rbp)
    .seh_savereg %r12, 0x30
    movups  %xmm6, 0x20(%rbp)
    .seh_savexmm %xmm6, 0x40
    movups  %xmm15, 0x30(%rbp)
    .seh_savexmm %xmm15, 0x50
    .seh_endprologue
    subq    $0x400, %rsp
    xorl    %r12d, %r12d
    xorps   %xmm6, %xmm6
    xorps   %xmm15, %xmm15
    callq   *%rcx
    nop
    movq    0x10(%rbp), %r12
    movups  0x20(%rbp), %xmm6
    movups  0x30(%rbp), %xmm15
    leaq    0x50(%rbp), %rsp
    popq    %rbp
    ret
    .seh_endproc

// A part of a function that saves one register more than the part before it. The assembler has
// directives for it, but lets the first part reach over the second; Microsoft's compiler does not.
    .globl saved_in_a_part
    .def saved_in_a_part; .scl 2; .type 32; .endef
    .balign 16
saved_in_a_part:
    pushq   %rbx
    subq    $0x30, %rsp
    testq   %rcx, %rcx
    jne     second_part
end_of_both:
    addq    $0x30, %rsp
    popq    %rbx
    ret
second_part:
    movq    %r13, 0x20(%rsp)
    xorl    %ebx, %ebx
    xorl    %r13d, %r13d
    callq   *%rcx
    nop
    movq    0x20(%rsp), %r13
    jmp     end_of_both                 // no epilogue: the function is the same
end_of_second_part:

    .section .xdata, "dr"
    .balign 4
first_part_data:
    .byte   1, 5, 2, 0                  // version 1; the prologue has 5 bytes, and 2 codes
    .byte   5, 0x52                     // UWOP_ALLOC_SMALL, (0x30 - 8) / 8
    .byte   1, 0x30                     // UWOP_PUSH_NONVOL RBX
second_part_data:
    .byte   1 | 4 << 3, 5, 2, 0         // UNW_FLAG_CHAININFO
    .byte   5, 0xD4, 0x20 / 8, 0        // UWOP_SAVE_NONVOL R13
    .rva    saved_in_a_part, second_part, first_part_data
    .section .pdata, "dr"
    .rva    saved_in_a_part, second_part, first_part_data
    .rva    second_part, end_of_second_part, second_part_data
    .text

// Offsets that take 32 bits. No kernel stack has the room for it: nobody calls it.
    routine saved_far_away
    pushq   %r14
    .seh_pushreg %r14
    subq    $0x180000, %rsp
    .seh_stackalloc 0x180000
    movq    %rdi, 0x100000(%rsp)
    .seh_savereg %rdi, 0x100000
    movups  %xmm7, 0x110000(%rsp)
    .seh_savexmm %xmm7, 0x110000
    .seh_endprologue
    xorl    %edi, %edi
    xorps   %xmm7, %xmm7
    callq   *%rcx
    nop
    movq    0x100000(%rsp), %rdi
    movups  0x110000(%rsp), %xmm7
    addq    $0x180000, %rsp
    popq    %r14
    ret
    .seh_endproc

// bool calls_with_marked_registers(void (*routine)(void (*)()), void (*work)()): fills what a called
// function must preserve, lets `routine` call `work`, and tells whether it all came back. What is
// thrown in `work` is caught by call_and_catch (contract_frames.cpp) in between.
    routine calls_with_marked_registers
    .irp register, rbx, rbp, rsi, rdi, r12, r13, r14, r15
    pushq   %\register
    .seh_pushreg %\register
    .endr
    subq    $0x48, %rsp
    .seh_stackalloc 0x48
    movups  %xmm6, 0x20(%rsp)
    .seh_savexmm %xmm6, 0x20
    movups  %xmm15, 0x30(%rsp)
    .seh_savexmm %xmm15, 0x30
    .seh_endprologue
    mark = 0x1111
    .irp register, rbx, rbp, rsi, rdi, r12, r13, r14, r15
    movl    $mark, %eax
    movq    %rax, %\register
    mark = mark + 0x1111
    .endr
    movq    %rbx, %xmm6
    movq    %r15, %xmm15
    callq   call_and_catch
    movzbl  %al, %ecx
    movq    %xmm6, %rax
    xorq    %rbx, %rax
    movq    %xmm15, %rdx
    xorq    %r15, %rdx
    orq     %rdx, %rax
    mark = 0x1111
    .irp register, rbx, rbp, rsi, rdi, r12, r13, r14, r15
    xorq    $mark, %\register
    orq     %\register, %rax
    mark = mark + 0x1111
    .endr
    testq   %rax, %rax
    sete    %al
    andb    %cl, %al
    movups  0x20(%rsp), %xmm6
    movups  0x30(%rsp), %xmm15
    addq    $0x48, %rsp
    .irp register, r15, r14, r13, r12, rdi, rsi, rbp, rbx
    popq    %\register
    .endr
    ret
    .seh_endproc

// void call_on_other_stack(void (*work)(), void* stack_end): RBP leads back.
    routine call_on_other_stack
    pushq   %rbp
    .seh_pushreg %rbp
    movq    %rsp, %rbp
    .seh_setframe %rbp, 0
    .seh_endprologue
    leaq    -0x20(%rdx), %rsp
    callq   *%rcx
    nop
    movq    %rbp, %rsp
    popq    %rbp
    ret
    .seh_endproc
