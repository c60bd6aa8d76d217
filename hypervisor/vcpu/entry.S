# Into the guest, and back. All code between a VM entry and C++ is in this file.
#
# A stage whose guest runs once (launch) uses the one-shot path:
#
# 1. hvp_launch_guest is called by C++ on the launching stack. It saves the registers that a
#    function must preserve, and where the stack is, in the ExitFrame.
# 2. VMLAUNCH loads RIP, RSP and RFLAGS from the guest-state area. The general registers stay as
#    they are: what RCX holds, the guest finds there.
# 3. The guest runs on its own stack, until something causes a VM exit.
# 4. The processor loads RIP and RSP from the host-state area: it goes on at hvp_vm_exit, on the
#    VMM's own stack, with RFLAGS = 2 (interrupts off, direction flag clear) and the guest's
#    general registers.  [SDM 3C 27.5.3 "Loading Host RIP, RSP, and RFLAGS"]
# 5. hvp_vm_exit calls the stage's handler, goes back to the launching stack and returns from
#    hvp_launch_guest. This guest is never entered again, so its registers are discarded.
#
# A guest that survives its exits (all later stages) goes by the exit loop, below: hvp_run_guest,
# hvp_exit_to_vmm, hvp_resume_guest, hvp_leave_vmm, and the traps that the VMM itself may run into.
#
# Calling convention, on every host: Windows x64. Arguments in RCX, RDX; 32 bytes of home space
# above the return address; RBX, RBP, RDI, RSI, R12-R15 are preserved. XMM6-XMM15 would be too, but
# nothing here is compiled to touch them. RSP is a multiple of 16 before each call.

#include "hypervisor/vcpu/vmm_frame.inc"

    .intel_syntax noprefix

# What differs between Windows' object files and Linux': how a function is announced and how it
# describes its stack to debuggers. Each function has a section of its own, so that the linker drops
# what a driver does not use. Where an instruction exchanges the stack, what follows is described as
# a function of its own (NEXT_FUNCTION), on the stack that it has.
#ifdef _WIN32
.macro SECTION_OF name
    .section .text$\name, "xr", one_only, \name
    .globl \name
.endm
.macro NEXT_FUNCTION name
    .globl \name
    .def \name
    .scl 2
    .type 32
    .endef
    .seh_proc \name
\name:
.endm
# The processor has pushed SS, RSP, RFLAGS, CS and RIP, and perhaps an error code.
.macro INTERRUPTED
    .seh_pushframe
.endm
.macro INTERRUPTED_WITH_ERROR_CODE
    .seh_pushframe @code
.endm
.macro SAVE_ON_STACK register
    push \register
    .seh_pushreg \register
.endm
.macro PUSH_NUMBER number
    push \number
    .seh_stackalloc 8
.endm
# The function's caller has pushed this much more.
.macro PUSHED_BEFORE bytes
    .seh_stackalloc \bytes
.endm
.macro TAKE_STACK bytes
    sub rsp, \bytes
    .seh_stackalloc \bytes
.endm
.macro BODY
    .seh_endprologue
.endm
.macro END name
    .seh_endproc
.endm
#else
.macro SECTION_OF name
    .section .text.\name, "ax", @progbits
    .globl \name
.endm
.macro NEXT_FUNCTION name
    .globl \name
    .type \name, @function
\name:
    .cfi_startproc
.endm
.macro INTERRUPTED
    .cfi_signal_frame
    .cfi_def_cfa rsp, 40
    .cfi_offset rip, -40
    .cfi_offset rsp, -16
.endm
.macro INTERRUPTED_WITH_ERROR_CODE
    INTERRUPTED
    .cfi_adjust_cfa_offset 8
.endm
.macro SAVE_ON_STACK register
    push \register
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset \register, 0
.endm
.macro PUSH_NUMBER number
    push \number
    .cfi_adjust_cfa_offset 8
.endm
.macro PUSHED_BEFORE bytes
    .cfi_adjust_cfa_offset \bytes
.endm
.macro TAKE_STACK bytes
    sub rsp, \bytes
    .cfi_adjust_cfa_offset \bytes
.endm
.macro BODY
.endm
.macro END name
    .cfi_endproc
    .size \name, . - \name
.endm
#endif

.macro FUNCTION name
    SECTION_OF \name
    NEXT_FUNCTION \name
.endm
.macro PUSH_ALL_PRESERVED
    SAVE_ON_STACK rbx
    SAVE_ON_STACK rbp
    SAVE_ON_STACK rdi
    SAVE_ON_STACK rsi
    SAVE_ON_STACK r12
    SAVE_ON_STACK r13
    SAVE_ON_STACK r14
    SAVE_ON_STACK r15
.endm

# ---- The one-shot path: one entry, one exit ---------------------------------------------------

# LaunchOutcome hvp_launch_guest(void* argument, ExitFrame* frame)
FUNCTION hvp_launch_guest
    PUSH_ALL_PRESERVED
    BODY
    mov [rdx + 16], rsp             # frame->launch_rsp
    vmlaunch

    # Only a VMLAUNCH that failed comes here; then CF or ZF is 1.
    # [SDM 3C 30.2 "Conventions"]
    mov eax, 1                      # LaunchOutcome::fail_invalid
    mov edx, 2                      # LaunchOutcome::fail_valid
    cmovnc eax, edx

    .globl hvp_return_from_launch
hvp_return_from_launch:
    pop r15
    pop r14
    pop r13
    pop r12
    pop rsi
    pop rdi
    pop rbp
    pop rbx
    ret
END hvp_launch_guest

# Entered by the processor, never called: HOST_RIP. RSP is HOST_RSP, the ExitFrame, and its first
# eight bytes are 0 where a return address would be, so a debugger's stack walk ends here.
FUNCTION hvp_vm_exit
    TAKE_STACK 40                   # home space, and RSP a multiple of 16 again
    BODY
    mov rcx, [rsp + 40 + 8]
    call [rsp + 40 + 24]            # frame->on_exit(frame->stage)
    mov rsp, [rsp + 40 + 16]        # frame->launch_rsp
    xor eax, eax                    # LaunchOutcome::vm_exit
    jmp hvp_return_from_launch
END hvp_vm_exit

# ---- The exit loop: the guest's registers live in the VmmFrame while the VMM runs --------------
#
# HOST_RSP points to the VmmFrame. At an exit the stack looks as if the frame's function had just
# been called: a return address of 0, its 32 bytes of home space, then the registers. So an exit
# costs one store for each register, an entry one load, and the function in between does not return:
# it ends by a jump to hvp_resume_guest or to hvp_leave_guest, with RSP as it found it. It need not
# preserve a register, and finds the frame's address in R12: see ExitFunction in exit_path.hpp.

# void hvp_run_guest(VmmFrame* frame): returns when the VMM has decided to leave.
FUNCTION hvp_run_guest
    PUSH_ALL_PRESERVED
    BODY
    mov [rcx + LAUNCH_RSP], rsp
    mov rax, cr3
    mov [rcx + LAUNCH_CR3], rax
    mov rsp, rcx                    # where an exit would arrive
END hvp_run_guest

NEXT_FUNCTION hvp_first_entry
    BODY
    lea rax, [rip + hvp_enter_guest_after_nmi]
    cmp [rsp + RESUME], rax         # was there an NMI?
    je hvp_first_entry_after_nmi
    FOR_EACH_GUEST_REGISTER LOAD
    vmlaunch
first_entry_end:
    mov byte ptr [rsp + REFUSED_BY], 0  # EntryInstruction::vmlaunch
    jmp hvp_entry_failed
END hvp_first_entry

# HOST_RIP.
FUNCTION hvp_exit_to_vmm
    BODY
    FOR_EACH_GUEST_REGISTER SAVE
    mov r12, rsp
    jmp [rsp + ON_EXIT]             # frame->on_exit(frame)
END hvp_exit_to_vmm

# How a handler ends; the stack as it found it, the frame's address in R12.
FUNCTION hvp_resume_guest
    BODY
    jmp [rsp + RESUME]              # hvp_enter_guest, or after an NMI the other one
END hvp_resume_guest

FUNCTION hvp_leave_guest
    BODY
    jmp [rsp + LEAVE]               # hvp_leave_vmm, or the departure
END hvp_leave_guest

FUNCTION hvp_enter_guest
    BODY
    FOR_EACH_GUEST_REGISTER LOAD
    vmresume
enter_guest_end:
    mov byte ptr [rsp + REFUSED_BY], 1  # EntryInstruction::vmresume
    jmp hvp_entry_failed
END hvp_enter_guest

# VMLAUNCH or VMRESUME came back like any other instruction: they failed.
FUNCTION hvp_entry_failed
    BODY
    mov r12, rsp
    jmp [rsp + ON_FAILED_ENTRY]     # frame->on_failed_entry(frame)
END hvp_entry_failed

# void hvp_leave_vmm(VmmFrame* frame): the way out, to the page tables of the caller of
# hvp_run_guest, then to its stack. Both lie in the frame, which must be read before the first
# changes: it may be mapped in the VMM's tables only. This code and the VMM's tables are mapped in
# both.
FUNCTION hvp_leave_vmm
    BODY
    mov rax, [rsp + LAUNCH_CR3]
    mov rdx, [rsp + LAUNCH_RSP]
    mov cr3, rax
    mov rsp, rdx
    jmp hvp_return_from_launch
END hvp_leave_vmm

# Entered by IRETQ, from handle_host_trap.
FUNCTION hvp_leave_after_trap
    BODY
    mov r12, rsp
    jmp hvp_leave_guest
END hvp_leave_after_trap

# ---- Departure: the guest goes on without the VMM; see departure.hpp ----------------------------

# void hvp_continue_natively(VmmFrame* frame): outside VMX operation, all but the general registers
# the guest's. What IRETQ pops lies below them in the frame.
FUNCTION hvp_continue_natively
    BODY
    mov rsp, rcx
END hvp_continue_natively

NEXT_FUNCTION hvp_return_to_departed_guest
    INTERRUPTED
    BODY
    FOR_EACH_GUEST_REGISTER LOAD
    iretq
END hvp_return_to_departed_guest

# void hvp_end_departed_guest(VmmFrame* frame): the guest was a function that hvp_run_guest has
# called. That returns now.
FUNCTION hvp_end_departed_guest
    BODY
    mov rsp, rcx
    jmp hvp_leave_vmm
END hvp_end_departed_guest

# ---- NMIs that come shortly before a VM entry --------------------------------------------------
#
# An NMI in the VMM is for the guest, which must exit as soon as it can take it. The handler of the
# NMI cannot ask for that exit: it does not know which VMCS is current, nor what was about to be
# written. It makes frame->resume point to hvp_enter_guest_after_nmi, and hvp_resume_guest jumps where
# that points to. So the question whether there was an NMI costs one instruction.
#
# What is left are the instructions from that jump to VM entry. They only load registers from the
# frame: so they can be begun anew, and an NMI that interrupts them returns to the beginning of it
# all. The table says so to its handler (host_traps.cpp).

FUNCTION hvp_enter_guest_after_nmi
    mov rcx, rsp
    TAKE_STACK 40                   # home space, and RSP a multiple of 16
    BODY
    call hvp_open_window_for_nmis   # which may be interrupted by the next one
    add rsp, 40
    jmp hvp_resume_guest
END hvp_enter_guest_after_nmi

FUNCTION hvp_first_entry_after_nmi
    mov rcx, rsp
    TAKE_STACK 40
    BODY
    call hvp_open_window_for_nmis
    add rsp, 40
    jmp hvp_first_entry
END hvp_first_entry_after_nmi

# EntryRange[2]: from, up to, and where an NMI returns to instead.
#ifdef _WIN32
    .section .rdata$hvp_entry_ranges, "dr", one_only, hvp_entry_ranges
#else
    .section .data.rel.ro.hvp_entry_ranges, "aw"
#endif
    .globl hvp_entry_ranges
    .balign 8
hvp_entry_ranges:
    .quad hvp_enter_guest, enter_guest_end, hvp_enter_guest_after_nmi
    .quad hvp_first_entry, first_entry_end, hvp_first_entry

# ---- Traps: exceptions and NMIs while the VMM itself runs --------------------------------------
#
# 32 stubs of 16 bytes: gate n of the VMM's IDT points to hvp_host_trap_stubs + 16 * n. Where the
# processor pushes no error code the stub pushes 0, so that the frames are alike.
# [SDM 3A 6.14.2 "64-Bit Mode Stack Frame"]
.macro TRAP_STUB vector
    .balign 16, 0xCC
    NEXT_FUNCTION hvp_host_trap_\vector
    .if \vector == 8 || (\vector >= 10 && \vector <= 14) || \vector == 17 || \vector == 21
    INTERRUPTED_WITH_ERROR_CODE
    .else
    INTERRUPTED
    PUSH_NUMBER 0
    .endif
    PUSH_NUMBER \vector
    BODY
    jmp hvp_host_trap
    END hvp_host_trap_\vector
.endm

SECTION_OF hvp_host_trap_stubs
hvp_host_trap_stubs:
.irp vector, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    TRAP_STUB \vector
.endr
.irp vector, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
    TRAP_STUB \vector
.endr

# RSP: HostTrap without the registers that a C++ function may change. Loaded rather than popped:
# until the stack goes, at once, a debugger finds its way.
NEXT_FUNCTION hvp_host_trap
    INTERRUPTED_WITH_ERROR_CODE
    PUSHED_BEFORE 8                 # the vector
    SAVE_ON_STACK rax
    SAVE_ON_STACK rcx
    SAVE_ON_STACK rdx
    SAVE_ON_STACK r8
    SAVE_ON_STACK r9
    SAVE_ON_STACK r10
    SAVE_ON_STACK r11
    TAKE_STACK 32
    BODY
    lea rcx, [rsp + 32]
    mov rax, rsp
    or rax, 0xFFF                   # the last byte of this trap stack
    call [rax - 15]                 # TrapStack::on_trap(HostTrap*)
    mov r11, [rsp + 32]
    mov r10, [rsp + 40]
    mov r9, [rsp + 48]
    mov r8, [rsp + 56]
    mov rdx, [rsp + 64]
    mov rcx, [rsp + 72]
    mov rax, [rsp + 80]
    add rsp, 32 + 7 * 8 + 16        # and vector and error code
END hvp_host_trap

NEXT_FUNCTION hvp_return_from_host_trap
    INTERRUPTED
    BODY
    iretq                           # to where it came from, or where the handler has sent it
END hvp_return_from_host_trap
