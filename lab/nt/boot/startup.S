// How the other processors get from real mode into the kernel.
//
// A start-up IPI lets a processor begin in real mode at the start of a page below 1 MiB. The kernel
// copies the code between startup_begin and startup_end there (startup.cpp). The code depends on
// its own address only through startup_page, which the start-up IPI names.
// [SDM 3A 8.4.4.2 "Typical AP Initialization Sequence"]

    startup_page = 0x9000               // startup_address in startup.cpp

    .section .rdata, "dr"
    .globl startup_begin, startup_end, startup_page_tables
    .balign 16
startup_begin:
    .code16
    cli
    movw    %cs, %ax
    movw    %ax, %ds
    lgdtl   startup_gdt_register - startup_begin
    // Straight to long mode: PAE, the firmware's page tables, LME; then protection and paging at
    // once.  [SDM 3A 9.8.5 "Initializing IA-32e Mode"]
    movl    $0x20, %eax
    movl    %eax, %cr4
    movl    startup_page_tables - startup_begin, %eax
    movl    %eax, %cr3
    movl    $0xC0000080, %ecx           // IA32_EFER
    rdmsr
    orl     $0x100, %eax
    wrmsr
    movl    %cr0, %eax
    orl     $0x80000001, %eax
    movl    %eax, %cr0
    ljmpl   $0x08, $(startup_page + startup_long_mode - startup_begin)
    .code64
startup_long_mode:
    movabsq $processor_entry, %rax      // these page tables have the kernel at its place, too
    jmpq    *%rax

    .balign 8
startup_gdt:
    .quad   0, 0x00AF9A000000FFFF
startup_gdt_register:
    .word   startup_gdt_register - startup_gdt - 1
    .long   startup_page + startup_gdt - startup_begin
startup_page_tables:
    .long   0
startup_end:

// From the firmware's page tables to the kernel's, and onto a stack. EFER comes first: with NXE
// clear, the bit that forbids execution is a reserved one.
    .text
    .globl processor_entry
    .def processor_entry; .scl 2; .type 32; .endef
    .seh_proc processor_entry
processor_entry:
    .seh_endprologue
    movl    $0xC0000080, %ecx
    movl    startup_block(%rip), %eax
    movl    4+startup_block(%rip), %edx
    wrmsr
    movq    8+startup_block(%rip), %rax
    movq    16+startup_block(%rip), %rsp
    movq    %rax, %cr3
    cld
    xorl    %ebp, %ebp
    // The return address 0 ends every walk over this stack.
    pushq   $0
    jmp     processor_main
    .seh_endproc
