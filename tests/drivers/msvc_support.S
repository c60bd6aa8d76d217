// What Microsoft's libraries put into every driver: __chkstk, the stack cookie and its check, the
// entry point that looks at the cookie first, the defaults of control flow guard, and the load
// configuration that tells the loader where all that is.  [PE Format, "The Load Configuration
// Structure"]

    .text
// Touches each page of a frame that is larger than one, from the top: RAX is its size. Everything
// but R10 and R11 is kept.  [Windows: _chkstk Routine]
    .globl __chkstk
    .def __chkstk; .scl 2; .type 32; .endef
__chkstk:
    leaq    8(%rsp), %r10
    movq    %rax, %r11
1:  cmpq    $0x1000, %r11
    jb      2f
    subq    $0x1000, %r10
    testb   %al, (%r10)
    subq    $0x1000, %r11
    jmp     1b
2:  subq    %r11, %r10
    testb   %al, (%r10)
    ret

// RCX is the cookie that was found on the stack.
    .globl __security_check_cookie
    .def __security_check_cookie; .scl 2; .type 32; .endef
__security_check_cookie:
    cmpq    __security_cookie(%rip), %rcx
    jne     1f
    ret
1:  movl    $2, %ecx                    // FAST_FAIL_STACK_COOKIE_CHECK_FAILURE
    int     $0x29

// The loader has chosen a cookie before it calls this.
    .globl GsDriverEntry
    .def GsDriverEntry; .scl 2; .type 32; .endef
GsDriverEntry:
    movq    __security_cookie(%rip), %rax
    testq   %rax, %rax
    je      1f
    cmpq    default_cookie(%rip), %rax
    je      1f
    jmp     DriverEntry
1:  movl    $6, %ecx                    // FAST_FAIL_GS_COOKIE_INIT
    int     $0x29

check_nothing:
    ret
dispatch:
    jmp     *%rax

    .data
    .balign 8
    .globl __security_cookie
__security_cookie:
    .quad   0x00002B992DDFA232

    .section .rdata,"dr"
    .balign 8
default_cookie:
    .quad   0x00002B992DDFA232

    .section .00cfg,"dr"
    .balign 8
    .globl __guard_check_icall_fptr
__guard_check_icall_fptr:
    .quad   check_nothing
    .globl __guard_dispatch_icall_fptr
__guard_dispatch_icall_fptr:
    .quad   dispatch

    .section .rdata,"dr"
    .balign 16
    .globl _load_config_used
_load_config_used:
    .long   0x118                       // its size
    .fill   0x54, 1, 0
    .quad   __security_cookie           // 58h
    .quad   0, 0                        // 60h: no table of handlers on x64
    .quad   __guard_check_icall_fptr    // 70h
    .quad   __guard_dispatch_icall_fptr // 78h
    .quad   __guard_fids_table          // 80h
    .quad   __guard_fids_count
    .long   __guard_flags               // 90h
    .fill   0x118 - 0x94, 1, 0
