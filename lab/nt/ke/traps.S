// Where the processor enters the kernel: 256 stubs, one path.
//
// A stub gives all vectors the same stack layout (an error code, then the vector). The path saves
// the general registers, calls dispatch_trap(TrapFrame*) and returns with IRETQ. No XMM register is
// touched: the interrupted driver may be using them. The frame is TrapFrame in trap_frame.hpp.

    .text
    .globl trap_stubs
    .balign 16
trap_stubs:
    vector = 0
    .rept 256
    .balign 16
    // These exceptions push an error code themselves.  [SDM 3A 6.13 "Error Code"]
    .if !(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21)
    pushq   $0
    .endif
    pushq   $vector
    jmp     trap_path
    vector = vector + 1
    .endr

    .globl trap_path
    .def trap_path; .scl 2; .type 32; .endef
    .seh_proc trap_path
trap_path:
    .seh_pushframe @code
    .seh_stackalloc 8
    pushq   %rax
    .seh_pushreg %rax
    pushq   %rcx
    .seh_pushreg %rcx
    pushq   %rdx
    .seh_pushreg %rdx
    pushq   %rbx
    .seh_pushreg %rbx
    pushq   %rbp
    .seh_pushreg %rbp
    pushq   %rsi
    .seh_pushreg %rsi
    pushq   %rdi
    .seh_pushreg %rdi
    pushq   %r8
    .seh_pushreg %r8
    pushq   %r9
    .seh_pushreg %r9
    pushq   %r10
    .seh_pushreg %r10
    pushq   %r11
    .seh_pushreg %r11
    pushq   %r12
    .seh_pushreg %r12
    pushq   %r13
    .seh_pushreg %r13
    pushq   %r14
    .seh_pushreg %r14
    pushq   %r15
    .seh_pushreg %r15
    subq    $32, %rsp
    .seh_stackalloc 32
    .seh_endprologue
    cld
    leaq    32(%rsp), %rcx
    call    dispatch_trap
    addq    $32, %rsp
    popq    %r15
    popq    %r14
    popq    %r13
    popq    %r12
    popq    %r11
    popq    %r10
    popq    %r9
    popq    %r8
    popq    %rdi
    popq    %rsi
    popq    %rbp
    popq    %rbx
    popq    %rdx
    popq    %rcx
    popq    %rax
    addq    $16, %rsp
    iretq
    .seh_endproc

// There is no user mode yet that could execute SYSCALL. LSTAR and CSTAR point here, because a
// driver that hooks them expects them to point into the kernel.
    .globl system_call_entry
    .def system_call_entry; .scl 2; .type 32; .endef
    .seh_proc system_call_entry
system_call_entry:
    .seh_endprologue
    ud2
    .seh_endproc
