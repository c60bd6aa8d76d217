// One function per instruction that C++ has no word for, and nothing else: no policy, no retry,
// no logging. All inline assembly of the VMM and of the stages is here.
//
// The VMX instructions report in RFLAGS how they went.  [SDM 3C 30.2 "Conventions"]
#pragma once

#include <cstdint>
#include <optional>
#include <utility>

#include "hypervisor/arch/address.hpp"
#include "hypervisor/arch/control_registers.hpp"
#include "hypervisor/arch/instruction_types.hpp"
#include "hypervisor/arch/msr.hpp"

namespace hvp::arch {

// ---- CPUID, MSRs, time ----------------------------------------------------------------------

/// CPUID: asks the processor what it is and can do. Allowed at every privilege level.
[[nodiscard, gnu::always_inline]] inline CpuidResult cpuid(std::uint32_t leaf,
                                                           std::uint32_t subleaf = 0) {
    CpuidResult result{};
    asm volatile("cpuid"
                 : "=a"(result.eax), "=b"(result.ebx), "=c"(result.ecx), "=d"(result.edx)
                 : "a"(leaf), "c"(subleaf));
    return result;
}

/// CPUID for a guest, whose registers are 64 bits wide.
[[nodiscard, gnu::always_inline]] inline CpuidRegisters cpuid_registers(std::uint32_t leaf,
                                                                        std::uint32_t subleaf) {
    CpuidRegisters result{};
    asm volatile("cpuid"
                 : "=a"(result.rax), "=b"(result.rbx), "=c"(result.rcx), "=d"(result.rdx)
                 : "a"(leaf), "c"(subleaf));
    return result;
}

/// RDMSR: reads a model-specific register.
///
/// Where    CPL 0; an MSR that the processor does not have raises #GP.
[[nodiscard, gnu::always_inline]] inline std::uint64_t rdmsr(Msr msr) {
    std::uint32_t low{};
    std::uint32_t high{};
    asm volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr) : "memory");
    return std::uint64_t{high} << 32 | low;
}

/// WRMSR: writes a model-specific register.
///
/// Where    CPL 0; an unknown MSR, a reserved bit or a locked register raises #GP.
[[gnu::always_inline]] inline void wrmsr(Msr msr, std::uint64_t value) {
    asm volatile("wrmsr"
                 :
                 : "c"(msr), "a"(static_cast<std::uint32_t>(value)),
                   "d"(static_cast<std::uint32_t>(value >> 32))
                 : "memory");
}

extern "C" {
[[gnu::ms_abi]] bool hvp_try_rdmsr(std::uint32_t msr, std::uint64_t* value);
[[gnu::ms_abi]] bool hvp_try_wrmsr(std::uint32_t msr, std::uint64_t value);
[[gnu::ms_abi]] bool hvp_try_xsetbv(std::uint32_t which, std::uint64_t value);
}  // extern "C"

/// RDMSR, WRMSR and XSETBV on behalf of a guest, which may have asked for what this processor
/// refuses. They are functions of fix_up.S, where a table knows the address of each: so #GP is
/// an answer, and not a mistake of the VMM.
///
/// Returns  nothing, or false: the processor has raised #GP, and nothing has changed
/// Where    VMX root operation with the VMM's IDT: between a VM exit and the next entry
[[nodiscard]] inline std::optional<std::uint64_t> try_rdmsr(Msr msr) {
    std::uint64_t value{};
    if (!hvp_try_rdmsr(static_cast<std::uint32_t>(msr), &value)) {
        return std::nullopt;
    }
    return value;
}
[[nodiscard]] inline bool try_wrmsr(Msr msr, std::uint64_t value) {
    return hvp_try_wrmsr(static_cast<std::uint32_t>(msr), value);
}
/// `which`: of the extended control registers. #UD where CR4.OSXSAVE is 0.
[[nodiscard]] inline bool try_xsetbv(std::uint32_t which, std::uint64_t value) {
    return hvp_try_xsetbv(which, value);
}

/// RDTSC: the time-stamp counter. In the lab it counts executed instructions.
[[nodiscard, gnu::always_inline]] inline std::uint64_t rdtsc() {
    std::uint32_t low{};
    std::uint32_t high{};
    asm volatile("rdtsc" : "=a"(low), "=d"(high));
    return std::uint64_t{high} << 32 | low;
}

/// RDTSCP: the same, after all earlier instructions. In a guest without "enable RDTSCP" it raises
/// #UD.  [SDM 3C 25.3 "Changes to Instruction Behavior in VMX Non-Root Operation"]
[[nodiscard, gnu::always_inline]] inline std::uint64_t rdtscp() {
    std::uint32_t low{};
    std::uint32_t high{};
    asm volatile("rdtscp" : "=a"(low), "=d"(high) : : "ecx", "memory");
    return std::uint64_t{high} << 32 | low;
}

// ---- Control and debug registers ------------------------------------------------------------

[[nodiscard, gnu::always_inline]] inline Flags<Cr0> read_cr0() {
    std::uint64_t value{};
    asm volatile("mov %%cr0, %[value]" : [value] "=r"(value) : : "memory");
    return Flags<Cr0>{value};
}

[[gnu::always_inline]] inline void write_cr0(Flags<Cr0> value) {
    asm volatile("mov %[value], %%cr0" : : [value] "r"(value.raw()) : "memory");
}

[[nodiscard, gnu::always_inline]] inline std::uint64_t read_cr3() {
    std::uint64_t value{};
    asm volatile("mov %%cr3, %[value]" : [value] "=r"(value) : : "memory");
    return value;
}

[[nodiscard, gnu::always_inline]] inline Flags<Cr4> read_cr4() {
    std::uint64_t value{};
    asm volatile("mov %%cr4, %[value]" : [value] "=r"(value) : : "memory");
    return Flags<Cr4>{value};
}

/// MOV to CR4. Raises #GP for a bit that the processor lacks, and, in VMX operation, for one that
/// it fixes.  [SDM 3C 23.8 "Restrictions on VMX Operation"]
[[gnu::always_inline]] inline void write_cr4(Flags<Cr4> value) {
    asm volatile("mov %[value], %%cr4" : : [value] "r"(value.raw()) : "memory");
}

/// The address whose access raised the last page fault.
[[nodiscard, gnu::always_inline]] inline std::uint64_t read_cr2() {
    std::uint64_t value{};
    asm volatile("mov %%cr2, %[value]" : [value] "=r"(value) : : "memory");
    return value;
}

[[gnu::always_inline]] inline void write_cr2(std::uint64_t value) {
    asm volatile("mov %[value], %%cr2" : : [value] "r"(value) : "memory");
}

/// MOV to CR3: other paging structures from the next access on; all but global translations go.
[[gnu::always_inline]] inline void write_cr3(std::uint64_t value) {
    asm volatile("mov %[value], %%cr3" : : [value] "r"(value) : "memory");
}

/// CR8 is the task priority of the local APIC: interrupts of this class and below wait.
/// [SDM 3A 10.8.6 "Task Priority in IA-32e Mode"]
[[nodiscard, gnu::always_inline]] inline std::uint64_t read_cr8() {
    std::uint64_t value{};
    asm volatile("mov %%cr8, %[value]" : [value] "=r"(value) : : "memory");
    return value;
}

[[gnu::always_inline]] inline void write_cr8(std::uint64_t value) {
    asm volatile("mov %[value], %%cr8" : : [value] "r"(value) : "memory");
}

/// Debug register `number`: 0 to 3 hold breakpoint addresses, 6 reports which one was met.
template <int number>
[[nodiscard, gnu::always_inline]] inline std::uint64_t read_dr() {
    static_assert((number >= 0 && number <= 3) || number == 6);
    std::uint64_t value{};
    asm volatile("mov %%dr%c[number], %[value]" : [value] "=r"(value) : [number] "i"(number));
    return value;
}

template <int number>
[[gnu::always_inline]] inline void write_dr(std::uint64_t value) {
    static_assert((number >= 0 && number <= 3) || number == 6);
    asm volatile("mov %[value], %%dr%c[number]" : : [value] "r"(value), [number] "i"(number));
}

[[nodiscard, gnu::always_inline]] inline std::uint64_t read_dr7() {
    std::uint64_t value{};
    asm volatile("mov %%dr7, %[value]" : [value] "=r"(value));
    return value;
}

[[gnu::always_inline]] inline void write_dr7(std::uint64_t value) {
    asm volatile("mov %[value], %%dr7" : : [value] "r"(value));
}

// ---- Flags ----------------------------------------------------------------------------------

[[nodiscard, gnu::always_inline]] inline Flags<Rflags> read_rflags() {
    std::uint64_t value{};
    asm volatile("pushfq\n\tpopq %[value]" : [value] "=r"(value) : : "memory");
    return Flags<Rflags>{value};
}

/// POPF: loads RFLAGS, and with it the interrupt flag.
[[gnu::always_inline]] inline void write_rflags(Flags<Rflags> value) {
    asm volatile("pushq %[value]\n\tpopfq" : : [value] "r"(value.raw()) : "memory", "cc");
}

/// CLI: no maskable interrupt reaches this processor until STI or POPF.
[[gnu::always_inline]] inline void cli() {
    asm volatile("cli" : : : "memory");
}

/// STI: interrupts are delivered again, after the next instruction.
[[gnu::always_inline]] inline void sti() {
    asm volatile("sti" : : : "memory");
}

/// CLD: string instructions count upwards, as all compiled code expects.
[[gnu::always_inline]] inline void cld() {
    asm volatile("cld" : : : "memory", "cc");
}

/// HLT: waits for an interrupt; in a guest with "HLT exiting" it causes a VM exit instead.
/// [SDM 3C 25.1.3 "Instructions That Cause VM Exits Conditionally"]
[[gnu::always_inline]] inline void hlt() {
    asm volatile("hlt" : : : "memory");
}

/// STI, HLT: waits for an interrupt. None can be delivered between the two and be missed.
[[gnu::always_inline]] inline void sti_and_hlt() {
    asm volatile("sti\n\thlt" : : : "memory");
}

/// Calls the handler of machine checks, as a machine check would: it pushes no error code.
///
/// Where    CPL 0
[[gnu::always_inline]] inline void raise_machine_check() {
    asm volatile("int $18" : : : "memory");
}

/// PAUSE: a hint that this is a spin-wait loop.
[[gnu::always_inline]] inline void pause() {
    asm volatile("pause" : : : "memory");
}

/// Nothing on a processor. Bochs' debugger, where `magic_break` is on, stops the machine here.
[[gnu::always_inline]] inline void magic_break() {
    asm volatile("xchgw %%bx, %%bx" : : : "memory");
}

/// FNINIT: the x87 unit as after reset.
[[gnu::always_inline]] inline void fninit() {
    asm volatile("fninit");
}

// ---- Descriptor tables and segment registers ------------------------------------------------

[[nodiscard, gnu::always_inline]] inline TableRegister sgdt() {
    TableRegister table{};
    asm volatile("sgdt %[table]" : [table] "=m"(table));
    return table;
}

[[gnu::always_inline]] inline void lgdt(const TableRegister& table) {
    asm volatile("lgdt %[table]" : : [table] "m"(table) : "memory");
}

[[nodiscard, gnu::always_inline]] inline TableRegister sidt() {
    TableRegister table{};
    asm volatile("sidt %[table]" : [table] "=m"(table));
    return table;
}

[[gnu::always_inline]] inline void lidt(const TableRegister& table) {
    asm volatile("lidt %[table]" : : [table] "m"(table) : "memory");
}

[[nodiscard, gnu::always_inline]] inline std::uint16_t sldt() {
    std::uint16_t selector{};
    asm volatile("sldt %[selector]" : [selector] "=r"(selector));
    return selector;
}

/// LLDT: loads the local descriptor table register from the GDT; the null selector empties it.
[[gnu::always_inline]] inline void lldt(std::uint16_t selector) {
    asm volatile("lldt %[selector]" : : [selector] "r"(selector) : "memory");
}

[[nodiscard, gnu::always_inline]] inline std::uint16_t str() {
    std::uint16_t selector{};
    asm volatile("str %[selector]" : [selector] "=r"(selector));
    return selector;
}

/// LTR: loads the task register and marks the TSS busy; one that is busy already raises #GP.
[[gnu::always_inline]] inline void ltr(std::uint16_t selector) {
    asm volatile("ltr %[selector]" : : [selector] "r"(selector) : "memory");
}

/// IRETQ to the next instruction: nothing changes, but NMIs are blocked no longer.
/// [SDM 3A 6.7.1 "Handling Multiple NMIs"]
inline void end_nmi_blocking() {
    asm volatile(
        "movq %%rsp, %%rcx\n movl %%ss, %%eax\n push %%rax\n push %%rcx\n pushfq\n"
        "movl %%cs, %%eax\n push %%rax\n leaq 1f(%%rip), %%rax\n push %%rax\n"
        "iretq\n"
        "1:"
        :
        :
        : "rax", "rcx", "memory");
}

[[nodiscard, gnu::always_inline]] inline std::uint16_t read_cs() {
    std::uint16_t selector{};
    asm volatile("mov %%cs, %[selector]" : [selector] "=r"(selector));
    return selector;
}

[[nodiscard, gnu::always_inline]] inline std::uint16_t read_ss() {
    std::uint16_t selector{};
    asm volatile("mov %%ss, %[selector]" : [selector] "=r"(selector));
    return selector;
}

[[nodiscard, gnu::always_inline]] inline std::uint16_t read_ds() {
    std::uint16_t selector{};
    asm volatile("mov %%ds, %[selector]" : [selector] "=r"(selector));
    return selector;
}

[[nodiscard, gnu::always_inline]] inline std::uint16_t read_es() {
    std::uint16_t selector{};
    asm volatile("mov %%es, %[selector]" : [selector] "=r"(selector));
    return selector;
}

[[nodiscard, gnu::always_inline]] inline std::uint16_t read_fs() {
    std::uint16_t selector{};
    asm volatile("mov %%fs, %[selector]" : [selector] "=r"(selector));
    return selector;
}

[[nodiscard, gnu::always_inline]] inline std::uint16_t read_gs() {
    std::uint16_t selector{};
    asm volatile("mov %%gs, %[selector]" : [selector] "=r"(selector));
    return selector;
}

[[gnu::always_inline]] inline void write_ss(std::uint16_t selector) {
    asm volatile("mov %[selector], %%ss" : : [selector] "r"(selector) : "memory");
}

[[gnu::always_inline]] inline void write_ds(std::uint16_t selector) {
    asm volatile("mov %[selector], %%ds" : : [selector] "r"(selector) : "memory");
}

[[gnu::always_inline]] inline void write_es(std::uint16_t selector) {
    asm volatile("mov %[selector], %%es" : : [selector] "r"(selector) : "memory");
}

/// MOV to FS. It also loads the base from the descriptor: write IA32_FS_BASE afterwards.
/// [SDM 3A 3.4.4 "Segment Loading Instructions in IA-32e Mode"]
[[gnu::always_inline]] inline void write_fs(std::uint16_t selector) {
    asm volatile("mov %[selector], %%fs" : : [selector] "r"(selector) : "memory");
}

/// MOV to GS. It also loads the base from the descriptor, and the host system finds its
/// per-processor data through that base: write IA32_GS_BASE afterwards, and keep interrupts off
/// between the two.
[[gnu::always_inline]] inline void write_gs(std::uint16_t selector) {
    asm volatile("mov %[selector], %%gs" : : [selector] "r"(selector) : "memory");
}

/// Reloads CS from the GDT: a far return to the next instruction.
[[gnu::always_inline]] inline void reload_cs(std::uint16_t selector) {
    std::uint64_t scratch{};
    asm volatile(
        "pushq %[selector]\n\t"
        "leaq 1f(%%rip), %[scratch]\n\t"
        "pushq %[scratch]\n\t"
        "lretq\n"
        "1:"
        : [scratch] "=&r"(scratch)
        : [selector] "r"(std::uint64_t{selector})
        : "memory");
}

// ---- Extended state, translations, ports ----------------------------------------------------

/// XGETBV of XCR0: which register sets XSAVE manages. #UD while CR4.OSXSAVE is 0.
[[nodiscard, gnu::always_inline]] inline std::uint64_t read_xcr0() {
    std::uint32_t low{};
    std::uint32_t high{};
    asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0) : "memory");
    return std::uint64_t{high} << 32 | low;
}

/// XGETBV of XINUSE: which of the states that XCR0 allows are not as after reset. MXCSR is none.
[[nodiscard, gnu::always_inline]] inline std::uint64_t read_states_in_use() {
    std::uint32_t low{};
    std::uint32_t high{};
    asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(1) : "memory");
    return std::uint64_t{high} << 32 | low;
}

/// XSETBV of XCR0: a combination that the processor does not allow raises #GP.
[[gnu::always_inline]] inline void write_xcr0(std::uint64_t value) {
    asm volatile("xsetbv"
                 :
                 : "c"(0), "a"(static_cast<std::uint32_t>(value)),
                   "d"(static_cast<std::uint32_t>(value >> 32))
                 : "memory");
}

/// WBINVD: writes all modified lines of the caches to memory, and empties the caches.
[[gnu::always_inline]] inline void wbinvd() {
    asm volatile("wbinvd" : : : "memory");
}

/// STMXCSR: control and status of SSE.
[[nodiscard, gnu::always_inline]] inline std::uint32_t read_mxcsr() {
    std::uint32_t value{};
    asm volatile("stmxcsr %[value]" : [value] "=m"(value));
    return value;
}

[[gnu::always_inline]] inline void write_mxcsr(std::uint32_t value) {
    asm volatile("ldmxcsr %[value]" : : [value] "m"(value) : "memory");
}

/// XSAVE: x87, SSE and every other state that XCR0 allows, to a 64-byte aligned area.
[[gnu::always_inline]] inline void xsave(void* area) {
    asm volatile("xsave64 (%[area])" : : [area] "r"(area), "a"(~0U), "d"(~0U) : "memory");
}

[[gnu::always_inline]] inline void xrstor(const void* area) {
    asm volatile("xrstor64 (%[area])" : : [area] "r"(area), "a"(~0U), "d"(~0U) : "memory");
}

/// XSAVES: those that IA32_XSS allows as well, in the compacted format. In a guest without "enable
/// XSAVES/XRSTORS" both raise #UD.
/// [SDM 3A 13.7 "THE XSAVE FEATURE SET AND PROCESSOR SUPERVISOR STATE MANAGEMENT"]
[[gnu::always_inline]] inline void xsaves(void* area) {
    asm volatile("xsaves64 (%[area])" : : [area] "r"(area), "a"(~0U), "d"(~0U) : "memory");
}

[[gnu::always_inline]] inline void xrstors(const void* area) {
    asm volatile("xrstors64 (%[area])" : : [area] "r"(area), "a"(~0U), "d"(~0U) : "memory");
}

/// FXSAVE: x87 and SSE, to a 16-byte aligned area of 512 bytes.
[[gnu::always_inline]] inline void fxsave(void* area) {
    asm volatile("fxsave64 (%[area])" : : [area] "r"(area) : "memory");
}

[[gnu::always_inline]] inline void fxrstor(const void* area) {
    asm volatile("fxrstor64 (%[area])" : : [area] "r"(area) : "memory");
}

/// INVLPG: invalidates the translation of one page, global ones too.
[[gnu::always_inline]] inline void invlpg(HostLinearAddress address) {
    asm volatile("invlpg (%[address])" : : [address] "r"(address.raw()) : "memory");
}

/// INVPCID: invalidates translations, of other process contexts too. In a guest without "enable
/// INVPCID" it raises #UD.
[[gnu::always_inline]] inline void invpcid(InvpcidType type, std::uint64_t pcid,
                                           HostLinearAddress address) {
    const struct {
        std::uint64_t pcid;
        std::uint64_t address;
    } descriptor{pcid, address.raw()};
    asm volatile("invpcid %[descriptor], %[type]"
                 :
                 : [descriptor] "m"(descriptor), [type] "r"(std::to_underlying(type))
                 : "memory");
}

/// IN from an 8-bit port.
[[nodiscard, gnu::always_inline]] inline std::uint8_t in8(std::uint16_t port) {
    std::uint8_t value{};
    asm volatile("inb %[port], %[value]" : [value] "=a"(value) : [port] "Nd"(port) : "memory");
    return value;
}

/// OUT to an 8-bit port.
[[gnu::always_inline]] inline void out8(std::uint16_t port, std::uint8_t value) {
    asm volatile("outb %[value], %[port]" : : [value] "a"(value), [port] "Nd"(port) : "memory");
}

/// REP OUTSB: all bytes of a buffer, one after the other, to an 8-bit port.
[[gnu::always_inline]] inline void out8(std::uint16_t port, const char* bytes,
                                        std::uint64_t count) {
    asm volatile("rep outsb" : "+S"(bytes), "+c"(count) : "d"(port) : "memory");
}

// ---- VMX ------------------------------------------------------------------------------------

/// VMXON: enters VMX operation; this processor is in VMX root operation afterwards.
///
/// Needs    4 KB-aligned `region` that starts with the VMCS revision identifier, bit 31 clear;
///          CR0, CR4 and IA32_FEATURE_CONTROL as VMX operation wants them, else it raises #GP.
/// Returns  fail_invalid for a bad region; fail_valid or fail_invalid if already in VMX operation.
/// Source   [SDM 3C 30.3 "VMX Instructions"] VMXON
[[nodiscard, gnu::always_inline]] inline VmxResult vmxon(HostPhysicalAddress region) {
    const std::uint64_t operand = region.raw();
    bool carry{};
    bool zero{};
    asm volatile("vmxon %[operand]"
                 : "=@ccc"(carry), "=@ccz"(zero)
                 : [operand] "m"(operand)
                 : "memory");  // the revision identifier must be in memory before
    return vmx_result(carry, zero);
}

/// VMXOFF: leaves VMX operation.
///
/// Where    VMX root operation; raises #UD outside it.
/// Source   [SDM 3C 30.3 "VMX Instructions"] VMXOFF
[[nodiscard, gnu::always_inline]] inline VmxResult vmxoff() {
    bool carry{};
    bool zero{};
    asm volatile("vmxoff" : "=@ccc"(carry), "=@ccz"(zero) : : "memory");
    return vmx_result(carry, zero);
}

/// VMCLEAR: makes the VMCS at `region` inactive, not current and "clear", and writes to memory
/// whatever the processor keeps of it.
///
/// Where    VMX root operation; raises #UD outside it.
/// Source   [SDM 3C 30.3 "VMX Instructions"] VMCLEAR
[[nodiscard, gnu::always_inline]] inline VmxResult vmclear(HostPhysicalAddress region) {
    const std::uint64_t operand = region.raw();
    bool carry{};
    bool zero{};
    asm volatile("vmclear %[operand]"
                 : "=@ccc"(carry), "=@ccz"(zero)
                 : [operand] "m"(operand)
                 : "memory");  // afterwards the region's bytes are the processor's
    return vmx_result(carry, zero);
}

/// VMPTRST: stores the address of the current VMCS; all ones if there is none.
///
/// Where    VMX root operation; raises #UD outside it.
/// Source   [SDM 3C 30.3 "VMX Instructions"] VMPTRST
[[nodiscard, gnu::always_inline]] inline std::uint64_t vmptrst() {
    std::uint64_t region{};
    asm volatile("vmptrst %[region]" : [region] "=m"(region) : : "memory", "cc");
    return region;
}

/// VMPTRLD: makes the VMCS at `region` active and current on this processor.
///
/// Needs    4 KB-aligned `region` that starts with this processor's VMCS revision identifier.
/// Returns  fail_invalid if no VMCS is current, fail_valid if one is (it holds the error number).
/// Where    VMX root operation; raises #UD outside it.
/// Source   [SDM 3C 30.3 "VMX Instructions"] VMPTRLD
[[nodiscard, gnu::always_inline]] inline VmxResult vmptrld(HostPhysicalAddress region) {
    const std::uint64_t operand = region.raw();
    bool carry{};
    bool zero{};
    asm volatile("vmptrld %[operand]"
                 : "=@ccc"(carry), "=@ccz"(zero)
                 : [operand] "m"(operand)
                 : "memory");
    return vmx_result(carry, zero);
}

/// VMWRITE: writes one field of the current VMCS, always as 64 bits here.
///
/// Source   [SDM 3C 30.3 "VMX Instructions"] VMWRITE
[[nodiscard, gnu::always_inline]] inline VmxResult vmwrite(std::uint64_t encoding,
                                                           std::uint64_t value) {
    bool carry{};
    bool zero{};
    asm volatile("vmwrite %[value], %[encoding]"
                 : "=@ccc"(carry), "=@ccz"(zero)
                 : [encoding] "r"(encoding), [value] "r"(value)
                 : "memory");
    return vmx_result(carry, zero);
}

/// VMREAD: reads one field of the current VMCS. In 64-bit mode it always stores 64 bits: giving
/// it a narrower place would overwrite the neighbours.
///
/// Source   [SDM 3C 30.3 "VMX Instructions"] VMREAD
[[nodiscard, gnu::always_inline]] inline VmxResult vmread(std::uint64_t encoding,
                                                          std::uint64_t& value) {
    bool carry{};
    bool zero{};
    asm volatile("vmread %[encoding], %[value]"
                 : [value] "=r"(value), "=@ccc"(carry), "=@ccz"(zero)
                 : [encoding] "r"(encoding)
                 : "memory");
    return vmx_result(carry, zero);
}

/// VMREAD of a field that this processor may not have, straight to memory.
///
/// Returns  false if it has no such field (or no VMCS is current); `value` is then as before
[[nodiscard, gnu::always_inline]] inline bool try_vmread(std::uint64_t encoding,
                                                         std::uint64_t& value) {
    bool succeeded{};  // "above": CF and ZF are 0, VMsucceed
    asm volatile("vmread %[encoding], %[value]"
                 : [value] "+m"(value), "=@cca"(succeeded)
                 : [encoding] "r"(encoding));
    return succeeded;
}

/// VMREAD where it cannot fail: in a VM-exit handler, of a field that every processor has. Without
/// a test of the flags it is two instructions.
[[nodiscard, gnu::always_inline]] inline std::uint64_t vmread_unchecked(std::uint64_t encoding) {
    std::uint64_t value{};
    asm volatile("vmread %[encoding], %[value]"
                 : [value] "=r"(value)
                 : [encoding] "r"(encoding)
                 : "memory", "cc");
    return value;
}

/// VMWRITE where it cannot fail; see `vmread_unchecked`.
[[gnu::always_inline]] inline void vmwrite_unchecked(std::uint64_t encoding, std::uint64_t value) {
    asm volatile("vmwrite %[value], %[encoding]"
                 :
                 : [encoding] "r"(encoding), [value] "r"(value)
                 : "memory", "cc");
}

/// INVEPT: invalidates this processor's translations from EPT paging structures. Bits 63:0 of
/// the descriptor are an EPT pointer, the rest is reserved.
///
/// Returns  a failure for a type that the processor lacks, and for a descriptor that VM entry would
///          not take as an EPT pointer
/// Where    VMX root operation; caches of other processors are not affected
/// Source   [SDM 3C 30.3 "VMX Instructions"] INVEPT
[[nodiscard, gnu::always_inline]] inline VmxResult invept(InveptType type,
                                                          std::uint64_t ept_pointer) {
    const std::uint64_t descriptor[2] = {ept_pointer, 0};
    bool carry{};
    bool zero{};
    asm volatile("invept %[descriptor], %[type]"
                 : "=@ccc"(carry), "=@ccz"(zero)
                 : [descriptor] "m"(descriptor), [type] "r"(type)
                 : "memory");
    return vmx_result(carry, zero);
}

/// INVVPID: invalidates this processor's translations of linear addresses of one VPID. Bits 15:0 of
/// the descriptor are the VPID.
///
/// Returns  a failure for a type that the processor lacks, and for VPID 0
/// Where    VMX root operation; caches of other processors are not affected
/// Source   [SDM 3C 30.3 "VMX Instructions"] INVVPID
[[nodiscard, gnu::always_inline]] inline VmxResult invvpid(InvvpidType type, std::uint16_t vpid) {
    const std::uint64_t descriptor[2] = {vpid, 0};
    bool carry{};
    bool zero{};
    asm volatile("invvpid %[descriptor], %[type]"
                 : "=@ccc"(carry), "=@ccz"(zero)
                 : [descriptor] "m"(descriptor), [type] "r"(type)
                 : "memory");
    return vmx_result(carry, zero);
}

/// VMCALL: a guest's call to its VMM.
///
/// Where    VMX non-root operation; raises #UD outside VMX operation
/// Source   [SDM 3C 30.3 "VMX Instructions"] VMCALL
[[nodiscard, gnu::always_inline]] inline VmcallResult vmcall(std::uint64_t call,
                                                             std::uint64_t argument) {
    VmcallResult result{};
    asm volatile("vmcall"
                 : "=a"(result.rax), "=d"(result.rdx)
                 : "a"(call), "c"(argument)
                 : "memory", "cc");
    return result;
}

}  // namespace hvp::arch
