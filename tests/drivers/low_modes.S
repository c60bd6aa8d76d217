# Into real mode or virtual-8086 mode, to a snippet of code, and back, with what its handler found.
#
# The code between hvp_low_begin and hvp_low_end is copied to the first page of a block below 1 MiB,
# and does not depend on which one: all segments begin at the block, and the page tables map the
# block to itself. LowData lies in the second page (low_modes.cpp).
# [SDM 3A 9.8.5.4 "Switching Out of IA-32e Mode Operation"],
# [SDM 3A 9.9.2 "Switching Back to Real-Address Mode"],
# [SDM 3A 20.2.5 "Entering Virtual-8086 Mode"]

    data = 0x1000
    runner_rsp = data + 0
    base = data + 8
    real_segment = data + 12
    runner_ss = data + 14
    efer = data + 16
    is_virtual = data + 20
    start_ip = data + 24
    start_cs = data + 28
    start_ss = data + 30
    start_sp = data + 32
    start_flags = data + 36
    start_eax = data + 40
    start_ecx = data + 44
    vector = data + 48
    handler_sp = data + 52
    gdtr = data + 56
    idtr_real = data + 72
    idtr_virtual = data + 80

    code_64 = 0x10                  # Windows' own
    code_32 = 0x80
    code_16 = 0x88
    data_32 = 0x90
    data_16 = 0x98
    task_32 = 0xA0

    own_stack = 0x3C00
    ia32_efer = 0xC0000080
    long_mode_enable = 0x100
    end_vector = 0xEE

    .section .rdata, "dr"
    .globl hvp_low_begin, hvp_low_end, hvp_low_stubs_real, hvp_low_stubs_virtual
    .balign 16
# void (block): RCX points to the block.
hvp_low_begin:
    .code64
    push %rbx
    push %rbp
    push %rsi
    push %rdi
    push %r12
    push %r13
    push %r14
    push %r15
    pushfq
    mov %rsp, runner_rsp(%rcx)
    movw %ss, runner_ss(%rcx)
    lgdt gdtr(%rcx)
    push $code_32
    push $(low_compatibility - hvp_low_begin)
    lretq

low_compatibility:
    .code32
    movl $data_32, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    movl $own_stack, %esp
    movl %cr0, %eax                 # without paging long mode is not active any more …
    andl $0x7FFFFFFF, %eax
    movl %eax, %cr0
    movl $ia32_efer, %ecx           # … and can be switched off
    rdmsr
    movl %eax, efer
    andl $~long_mode_enable, %eax
    wrmsr
    cmpl $0, is_virtual
    jne low_virtual
    ljmp $code_16, $(low_16 - hvp_low_begin)

# ---- Real mode

low_16:
    .code16
    movw $data_16, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %fs
    movw %ax, %gs
    movw %ax, %ss
    movl %cr0, %eax
    andl $0xFFFFFFFE, %eax
    movl %eax, %cr0
    pushw real_segment
    pushw $(low_real - hvp_low_begin)
    lretw
low_real:
    movw %cs, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %fs
    movw %ax, %gs
    lidtl idtr_real
    movw start_ss, %ss
    movl start_sp, %esp
    pushw start_flags
    pushw start_cs
    pushw start_ip
    movl start_eax, %eax
    movl start_ecx, %ecx
    iretw

# A stub of 8 bytes for each of the first 32 vectors, and one for the end. What the processor has
# pushed stays on the stack for who reads it later.
    .balign 8
hvp_low_stubs_real:
number = 0
.rept 32
    .balign 8
    pushw $number
    jmp low_real_event
number = number + 1
.endr
    .balign 8
    pushw $end_vector
    jmp low_real_event
low_real_event:
    popw %cs:vector
    movl %esp, %cs:handler_sp
    movw %cs, %ax
    movw %ax, %ds
    movl %cr0, %eax
    orl $1, %eax
    movl %eax, %cr0
    ljmpl $code_32, $(low_back - hvp_low_begin)

# ---- Virtual-8086 mode

    .code32
low_virtual:
    lidt idtr_virtual
    movl $task_32, %eax
    ltr %ax
    movzwl real_segment, %eax
    pushl %eax                      # GS, FS, DS, ES
    pushl %eax
    pushl %eax
    pushl %eax
    movzwl start_ss, %eax
    pushl %eax
    pushl start_sp
    pushl start_flags
    movzwl start_cs, %eax
    pushl %eax
    pushl start_ip
    movl start_eax, %eax
    movl start_ecx, %ecx
    iretl

    .balign 8
hvp_low_stubs_virtual:
number = 0
.rept 32
    .balign 8
    pushl $number
    jmp low_virtual_event
number = number + 1
.endr
    .balign 8
    pushl $end_vector
    jmp low_virtual_event
low_virtual_event:
    popl %ss:vector                 # the other data segments are null now
    movl %esp, %ss:handler_sp

# ---- Back

low_back:
    movl $data_32, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    movl $own_stack, %esp
    movl $ia32_efer, %ecx
    rdmsr
    movl efer, %eax
    wrmsr
    movl %cr0, %eax                 # CR3 has been the same all the time
    orl $0x80000000, %eax
    movl %eax, %cr0
    movl base, %eax
    addl $(low_64 - hvp_low_begin), %eax
    pushl $code_64
    pushl %eax
    lretl
low_64:
    .code64
    lea hvp_low_begin(%rip), %rcx
    mov runner_rsp(%rcx), %rsp
    movw runner_ss(%rcx), %ss
    popfq
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rdi
    pop %rsi
    pop %rbp
    pop %rbx
    ret
hvp_low_end:
