; The machine's firmware: from the reset vector to the lab's kernel, and nothing in between.
;
; 64 KiB, mapped at 0xF0000 and at the top of the first 4 GiB. It does what a hypervisor expects of
; a PC's firmware: address line 20, IA32_FEATURE_CONTROL, the MTRRs, the
; interrupt controllers, long mode. The bootstrap processor comes here from the reset vector; it
; then starts the others, which set up their own MTRRs and IA32_FEATURE_CONTROL, and halt until the
; kernel starts them again.
; [SDM 3A 8.4.1 "BSP and AP Processors"]
;
; What it uses of memory, all below 0x9000. The kernel starts the other processors on these tables:
;   0x1000 PML4, 0x2000 PDPT and 0x3000..0x6FFF page directories: 4 GiB mapped one to one
;   0x7000 PDPT and 0x8000 page directory: the kernel at its virtual address, by 2 MiB pages

%define BOOT_BLOCK          0x200000    ; boot_block_address; the offsets are boot_block.hpp's
%define IMAGE_END           0x08
%define KERNEL_PHYSICAL     0x10
%define KERNEL_VIRTUAL      0x18
%define KERNEL_BYTES        0x20
%define KERNEL_ENTRY        0x28
%define FIRMWARE_VMX        0x30
%define PROCESSORS          0x34

%define PML4                0x1000
%define PDPT                0x2000
%define DIRECTORIES         0x3000
%define KERNEL_PDPT         0x7000
%define KERNEL_DIRECTORY    0x8000
%define TABLES_END          0x9000

%define READY               PML4        ; counts processors; before the tables are written

%define PRESENT_WRITABLE    0x03
%define LARGE_PAGE          0x83        ; present, writable, PS

%define IA32_APIC_BASE          0x1B
%define IA32_FEATURE_CONTROL    0x3A
%define IA32_MTRR_PHYSBASE0     0x200
%define IA32_MTRR_PHYSMASK0     0x201
%define IA32_MTRR_DEF_TYPE      0x2FF
%define IA32_EFER               0xC0000080

; Low half of the interrupt command register. [SDM 3A 10.6.1 "Interrupt Command Register (ICR)"]
%define APIC_COMMAND            0xFEE00300
%define INIT_ALL_OTHERS         0xC4500
%define START_ALL_OTHERS        0xC46F0 ; vector F0h: real mode at F000:0000, which is `start`

%macro WRITE_MSR 3                      ; number, high half, low half
        mov ecx, %1
        mov edx, %2
        mov eax, %3
        wrmsr
%endmacro

org 0
bits 16
start:
        cli
        in al, 0x92                     ; fast A20: without it, odd megabytes are even ones
        or al, 2
        out 0x92, al
        mov al, 0xFF                    ; both 8259s masked: the local APIC is the only source
        out 0x21, al
        out 0xA1, al
        mov ax, cs
        mov ds, ax
        o32 lgdt [gdt_register]
        mov eax, cr0
        or eax, 1
        mov cr0, eax
        jmp dword 0x08:(0xF0000 + protected_mode)

bits 32
protected_mode:
        mov eax, 0x10
        mov ds, eax
        mov es, eax
        mov ss, eax

; The emulator gives each 128 KiB of RAM its place when it is first touched, and an image that was
; placed there arrives whole only if that happens from low to high addresses.
        mov esi, BOOT_BLOCK
        mov edi, [BOOT_BLOCK + IMAGE_END]
touch:  mov al, [esi]
        add esi, 0x20000
        cmp esi, edi
        jb touch

; IA32_FEATURE_CONTROL exists only where there is VT-x (or SMX); elsewhere it raises #GP.
; [SDM 3C 23.7 "Enabling and Entering VMX Operation"]
        mov eax, 1
        cpuid
        test ecx, 1 << 5                ; VMX
        jz memory_types
        mov eax, [BOOT_BLOCK + FIRMWARE_VMX]
        mov ebx, 5                      ; 0, locked_on: lock, VMX outside SMX
        test eax, eax
        jz set_feature_control
        mov ebx, 1                      ; 1, locked_off: lock alone
        cmp eax, 1
        jne memory_types                ; 2, unlocked: as it is after reset
set_feature_control:
        WRITE_MSR IA32_FEATURE_CONTROL, 0, ebx

; Memory types as PC firmware leaves them: write-back by default; uncacheable from 3 GiB to 4 GiB,
; where the devices are; in the first megabyte, video memory uncacheable and ROM write-protected.
; [SDM 3A 11.11 "Memory Type Range Registers (MTRRs)"]
memory_types:
        WRITE_MSR 0x250, 0x06060606, 0x06060606         ; 00000..7FFFF  write-back
        WRITE_MSR 0x258, 0x06060606, 0x06060606         ; 80000..9FFFF  write-back
        WRITE_MSR 0x259, 0, 0                           ; A0000..BFFFF  uncacheable
        mov ebx, 0x268                                  ; C0000..FFFFF  write-protected
rom_types:
        WRITE_MSR ebx, 0x05050505, 0x05050505
        inc ebx
        cmp ebx, 0x270
        jb rom_types
; The high half of a variable range's mask covers the physical address bits above 31.
        mov eax, 0x80000008
        cpuid
        movzx ecx, al
        sub ecx, 32
        mov edx, 1
        shl edx, cl
        dec edx
        mov ecx, IA32_MTRR_PHYSMASK0
        mov eax, 0xC0000800                             ; 1 GiB, valid
        wrmsr
        WRITE_MSR IA32_MTRR_PHYSBASE0, 0, 0xC0000000    ; type 0, uncacheable
        WRITE_MSR IA32_MTRR_DEF_TYPE, 0, 0xC06          ; enabled, fixed ranges too, write-back

; Each processor has MTRRs and IA32_FEATURE_CONTROL of its own, so all of them execute the code
; above. Only one has the BSP flag.  [SDM 3A 8.4.1 "BSP and AP Processors"]
        mov ecx, IA32_APIC_BASE
        rdmsr
        test eax, 1 << 8
        jnz bootstrap
        lock inc dword [READY]
parked: cli
        hlt                             ; until the kernel sends INIT
        jmp parked

bootstrap:
        mov ebx, [BOOT_BLOCK + PROCESSORS]
        dec ebx
        jz paging
        mov dword [READY], 0
        mov dword [APIC_COMMAND], INIT_ALL_OTHERS
        mov dword [APIC_COMMAND], START_ALL_OTHERS
        mov dword [APIC_COMMAND], START_ALL_OTHERS
wait_for_others:
        pause
        cmp [READY], ebx
        jb wait_for_others

; Paging: 4 GiB one to one by 2 MiB pages.  [SDM 3A 4.5 "4-Level Paging and 5-Level Paging"]
paging: mov edi, PML4
        xor eax, eax
        mov ecx, (TABLES_END - PML4) / 4
        rep stosd
        mov dword [PML4], PDPT | PRESENT_WRITABLE
        mov eax, DIRECTORIES | PRESENT_WRITABLE
        mov edi, PDPT
        mov ecx, 4
directories:
        mov [edi], eax
        add eax, 0x1000
        add edi, 8
        loop directories
        mov edi, DIRECTORIES
        mov eax, LARGE_PAGE
        mov ecx, 4 * 512
pages:  mov [edi], eax
        add eax, 0x200000
        add edi, 8
        loop pages

        mov eax, PML4
        mov cr3, eax
        mov eax, cr4
        or eax, 1 << 5                  ; PAE
        mov cr4, eax
        mov ecx, IA32_EFER
        rdmsr
        or eax, 1 << 8                  ; LME
        wrmsr
        mov eax, cr0
        or eax, 1 << 31                 ; PG: long mode becomes active
        mov cr0, eax
        jmp 0x18:(0xF0000 + long_mode)

bits 64
long_mode:
        mov rbx, BOOT_BLOCK
        mov rax, [rbx + KERNEL_VIRTUAL]
        mov rcx, rax
        shr rcx, 39
        and ecx, 511
        mov qword [PML4 + rcx * 8], KERNEL_PDPT | PRESENT_WRITABLE
        mov rcx, rax
        shr rcx, 30
        and ecx, 511
        mov qword [KERNEL_PDPT + rcx * 8], KERNEL_DIRECTORY | PRESENT_WRITABLE
        shr rax, 21
        and eax, 511
        mov rdx, [rbx + KERNEL_PHYSICAL]
        lea rsi, [rdx + LARGE_PAGE]
        add rdx, [rbx + KERNEL_BYTES]
kernel_pages:
        mov [KERNEL_DIRECTORY + rax * 8], rsi
        inc eax
        add rsi, 0x200000
        cmp rsi, rdx
        jb kernel_pages
        mov rcx, rbx                    ; the kernel's only parameter, as Windows x64 passes it
        jmp [rbx + KERNEL_ENTRY]

align 8
gdt:    dq 0, 0x00CF9A000000FFFF, 0x00CF92000000FFFF, 0x00AF9A000000FFFF
gdt_register:
        dw gdt_register - gdt - 1
        dd 0xF0000 + gdt

        times 0xFFF0 - ($ - $$) db 0xFF
bits 16
        jmp 0xF000:start
        times 0x10000 - ($ - $$) db 0xFF
