// bool jump_out_of_try(void (*finally)(bool abnormal, void* frame)): a __try block that is left by a
// jump, as Microsoft's compiler makes it: by _local_unwind.  [Windows: try-finally statement]
    .text
    .globl jump_out_of_try
    .def jump_out_of_try; .scl 2; .type 32; .endef
    .balign 16
    .seh_proc jump_out_of_try
jump_out_of_try:
    pushq   %rbx
    .seh_pushreg %rbx
    subq    $0x20, %rsp
    .seh_stackalloc 0x20
    .seh_handler __C_specific_handler, @except, @unwind
    .seh_endprologue
    movl    $0x5555, %ebx
    movq    %rcx, finally_block(%rip)
begin_of_try:
    movq    %rsp, %rcx
    leaq    behind_try(%rip), %rdx
    callq   _local_unwind
    nop
end_of_try:
    xorl    %ebx, %ebx
behind_try:
    cmpl    $0x5555, %ebx
    sete    %al
    addq    $0x20, %rsp
    popq    %rbx
    ret
    .seh_handlerdata
    .long   1
    .rva    begin_of_try, end_of_try, call_finally_block
    .long   0                           // a __finally block
    .text
    .seh_endproc

    .def call_finally_block; .scl 2; .type 32; .endef
call_finally_block:
    jmpq    *finally_block(%rip)

    .lcomm  finally_block, 8
