# Into the guest, and back: one round trip.
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
#    hvp_launch_guest. This guest is never entered again, so its registers are let go.
#
# Calling convention, on every host: Windows x64. Arguments in RCX, RDX; 32 bytes of home space
# above the return address; RBX, RBP, RDI, RSI, R12-R15 are preserved. XMM6-XMM15 would be too, but
# nothing between 2 and 5 is compiled to touch them. RSP is a multiple of 16 before each call.

    .intel_syntax noprefix
    .text

# LaunchOutcome hvp_launch_guest(void* argument, ExitFrame* frame)
    .globl hvp_launch_guest
    .def hvp_launch_guest
    .scl 2
    .type 32
    .endef
    .seh_proc hvp_launch_guest
hvp_launch_guest:
    push rbx
    .seh_pushreg rbx
    push rbp
    .seh_pushreg rbp
    push rdi
    .seh_pushreg rdi
    push rsi
    .seh_pushreg rsi
    push r12
    .seh_pushreg r12
    push r13
    .seh_pushreg r13
    push r14
    .seh_pushreg r14
    push r15
    .seh_pushreg r15
    .seh_endprologue

    mov [rdx + 16], rsp             # frame->launch_rsp
    vmlaunch

    # Only a VMLAUNCH that failed comes here; then CF or ZF is 1.
    # [SDM 3C 30.2 "Conventions"]
    mov eax, 1                      # LaunchOutcome::fail_invalid
    mov edx, 2                      # LaunchOutcome::fail_valid
    cmovnc eax, edx

back_on_the_launching_stack:
    pop r15
    pop r14
    pop r13
    pop r12
    pop rsi
    pop rdi
    pop rbp
    pop rbx
    ret
    .seh_endproc

# Entered by the processor, never called: HOST_RIP. RSP is HOST_RSP, the ExitFrame, and its first
# eight bytes are 0 where a return address would be, so a debugger's stack walk ends here.
    .globl hvp_vm_exit
    .def hvp_vm_exit
    .scl 2
    .type 32
    .endef
    .seh_proc hvp_vm_exit
hvp_vm_exit:
    sub rsp, 40                     # home space, and RSP a multiple of 16 again
    .seh_stackalloc 40
    .seh_endprologue
    mov rcx, [rsp + 40 + 8]         # frame->stage
    call hvp_on_vm_exit
    mov rsp, [rsp + 40 + 16]        # frame->launch_rsp
    xor eax, eax                    # LaunchOutcome::vm_exit
    jmp back_on_the_launching_stack
    .seh_endproc
