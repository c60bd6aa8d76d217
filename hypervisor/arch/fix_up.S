# Instructions that the processor may refuse with #GP while the VMM runs, and where it then goes on.
#
# Whether RDMSR, WRMSR and XSETBV succeed depends on what the guest asks for, and no list of ours is
# as long as the processor's. So each of them has a row in a table: the address of the instruction,
# and the address where the VMM goes on if this instruction has raised #GP. vcpu/fix_up.cpp looks there.
#
# The functions have no frame. To the table's reader it does not matter how they came so far: RSP and
# the registers are as the instruction has left them, which it has not executed.
# [SDM 3A 6.5 "Exception Classifications"]
#
# Calling convention, on every host: Windows x64, as in vcpu/entry.S.

    .intel_syntax noprefix
# Sections of their own, so that the linker drops them from a driver that does not use them.
#ifdef _WIN32
    .section .text$hvp_try_rdmsr, "xr", one_only, hvp_try_rdmsr
#else
    .section .text.hvp_fix_up, "ax", @progbits
#endif

# bool hvp_try_rdmsr(std::uint32_t msr, std::uint64_t* value)
    .globl hvp_try_rdmsr
    .balign 16, 0xCC
hvp_try_rdmsr:
    mov r8, rdx
reading_msr:
    rdmsr
    shl rdx, 32
    or rax, rdx
    mov [r8], rax
    mov eax, 1
    ret

# bool hvp_try_wrmsr(std::uint32_t msr, std::uint64_t value)
    .globl hvp_try_wrmsr
    .balign 16, 0xCC
hvp_try_wrmsr:
    mov eax, edx
    shr rdx, 32
writing_msr:
    wrmsr
    mov eax, 1
    ret

# bool hvp_try_xsetbv(std::uint32_t which, std::uint64_t value)
    .globl hvp_try_xsetbv
    .balign 16, 0xCC
hvp_try_xsetbv:
    mov eax, edx
    shr rdx, 32
setting_xcr:
    xsetbv
    mov eax, 1
    ret

refused:
    xor eax, eax
    ret

# The table: FixUp hvp_fix_ups[], and where it ends. In Windows' image it is part of .rdata, which
# the VMM's page tables map like all of the image.
#ifdef _WIN32
    .section .rdata$hvp_fix_ups, "dr", one_only, hvp_fix_ups
#else
    .section .data.rel.ro.fix_up, "aw", @progbits
#endif
    .balign 8
    .globl hvp_fix_ups
hvp_fix_ups:
    .quad reading_msr, refused
    .quad writing_msr, refused
    .quad setting_xcr, refused
    .globl hvp_fix_ups_end
hvp_fix_ups_end:

#ifndef _WIN32
    .section .note.GNU-stack, "", @progbits
#endif
