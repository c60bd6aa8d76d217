# Vectors that all lead to one C++ function, and the way into a snippet of code and back.

    .text

# hvp_event_stubs: 256 stubs of 16 bytes. Each makes the stack the same: an error code, the vector.
    .globl hvp_event_stubs
    .balign 16
hvp_event_stubs:
.set vector, 0
.rept 256
    .balign 16
    .if (vector != 8) && ((vector < 10) || (vector > 14)) && (vector != 17)
    pushq $0
    .endif
    pushq $vector
    jmp hvp_event_common
    .set vector, vector + 1
.endr

    .balign 16
hvp_event_common:
    push %rax
    push %rcx
    push %rdx
    push %rbx
    push %rbp
    push %rsi
    push %rdi
    push %r8
    push %r9
    push %r10
    push %r11
    push %r12
    push %r13
    push %r14
    push %r15
    cld
    mov %rsp, %rbx
    lea 120(%rsp), %rcx         # vector, error code, and what the processor has pushed
    and $-16, %rsp
    sub $32, %rsp
    call hvp_event
    mov %rbx, %rsp
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %r11
    pop %r10
    pop %r9
    pop %r8
    pop %rdi
    pop %rsi
    pop %rbp
    pop %rbx
    pop %rdx
    pop %rcx
    pop %rax
    add $16, %rsp
    iretq

# hvp_run_snippet(start): RCX points to where RSP is kept, then RIP, CS, RFLAGS, RSP, SS of the snippet, then
# its RAX, RBX, RBP. Returns when hvp_event makes the frame lead to hvp_snippet_is_over.
    .globl hvp_run_snippet
hvp_run_snippet:
    push %rbx
    push %rbp
    push %rsi
    push %rdi
    push %r12
    push %r13
    push %r14
    push %r15
    mov %rsp, (%rcx)
    push 40(%rcx)
    push 32(%rcx)
    push 24(%rcx)
    push 16(%rcx)
    push 8(%rcx)
    mov 48(%rcx), %rax
    mov 56(%rcx), %rbx
    mov 64(%rcx), %rbp
    xor %edx, %edx
    xor %ecx, %ecx
    iretq

    .globl hvp_snippet_is_over
hvp_snippet_is_over:
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rdi
    pop %rsi
    pop %rbp
    pop %rbx
    ret

# hvp_fault_in_handler: an exception while the one before is being handled; hvp_event goes on behind it.
    .globl hvp_fault_in_handler
hvp_fault_in_handler:
    ud2
    ret
