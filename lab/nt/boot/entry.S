// The kernel's first instructions: a stack of its own, then C++.
//
// The ROM comes here in long mode with RCX = address of the boot block, interrupts off, RAM mapped
// one to one, and no stack.

    .text
    .globl kernel_entry
    .def kernel_entry; .scl 2; .type 32; .endef
    .seh_proc kernel_entry
kernel_entry:
    .seh_endprologue
    leaq    boot_stack_end(%rip), %rsp
    cld
    xorl    %ebp, %ebp
    // The return address 0 ends every walk over this stack.
    pushq   $0
    jmp     kernel_main
    .seh_endproc

    .bss
    .balign 4096
    .globl boot_stack, boot_stack_end
boot_stack:
    .skip   0x6000
boot_stack_end:
