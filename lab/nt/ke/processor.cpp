// Windows' processor state. Bits that the processor lacks by CPUID stay clear, as on Windows.
#include "lab/nt/ke/processor.hpp"

#include <array>
#include <bit>

#include "hypervisor/arch/instructions.hpp"
#include "lab/nt/hal/apic.hpp"
#include "lab/nt/ke/dpc.hpp"
#include "lab/nt/ke/irql.hpp"
#include "lab/nt/mm/page_tables.hpp"
#include "lab/nt/mm/stacks.hpp"
#include "lab/nt/mm/tlb.hpp"
#include "lab/nt/rtl/export.hpp"

namespace hvp::lab::ke {
namespace {

using arch::Cr0;
using arch::Cr4;
using arch::Msr;

extern "C" void system_call_entry();  // traps.S

constinit Processor processor_0{};
constinit std::array<Processor*, most_processors> blocks{&processor_0};
constinit std::uint32_t started{1};
constinit hal::Features processor_features{};

void set_control_registers() {
    const auto& can = features();
    arch::write_cr0(Cr0::protection_enable | Cr0::monitor_coprocessor | Cr0::extension_type |
                    Cr0::numeric_error | Cr0::write_protect | Cr0::alignment_mask | Cr0::paging);
    auto cr4 = Cr4::debugging_extensions | Cr4::page_size_extensions |
               Cr4::physical_address_extension | Cr4::machine_check_enable |
               Cr4::page_global_enable | Cr4::os_fxsave | Cr4::os_simd_exceptions;
    const auto add = [&](bool possible, Cr4 flag) { cr4 |= possible ? flag : arch::Flags<Cr4>{}; };
    add(can.fsgsbase, Cr4::fsgsbase);
    add(can.extended_states != 0, Cr4::os_xsave);
    add(can.smep, Cr4::supervisor_mode_execution_prevention);
    add(can.smap, Cr4::supervisor_mode_access_prevention);
    add(can.umip, Cr4::user_mode_instruction_prevention);
    add(can.pcid, Cr4::process_context_identifiers);
    // For programs' shadow stacks: the kernel's own S_CET stays 0. From now on CR0.WP cannot be
    // cleared.  [SDM 3A 2.5 "Control Registers"]
    add(can.cet, Cr4::control_flow_enforcement);
    arch::write_cr4(cr4);
    if (can.pcid) {
        // The PCID is 0 while PCIDE is set.
        // [SDM 3A 4.10.1 "Process-Context Identifiers (PCIDs)"]
        arch::write_cr3(arch::read_cr3() | mm::kernel_pcid);
    }
    if (can.extended_states != 0) {
        // x87, SSE, AVX, MPX, AVX-512: all that this processor has of them.
        arch::write_xcr0(can.extended_states & 0xFF);
    }
    if (can.xsaves) {
        constexpr std::uint64_t user_cet = 1 << 11;
        arch::wrmsr(Msr::xss, can.supervisor_states & user_cet);
    }
    constexpr std::uint64_t power_up_mxcsr = 0x1F80;
    arch::write_mxcsr(power_up_mxcsr);
    arch::fninit();
    constexpr std::uint64_t no_breakpoints = 0x400;
    arch::write_dr7(no_breakpoints);
    constexpr std::uint64_t power_up_dr6 = 0xFFFF'0FF0;
    arch::write_dr<6>(power_up_dr6);
}

void set_msrs(std::uint32_t number, const Kpcr& kpcr) {
    constexpr std::uint64_t pat = 0x0007'0106'0007'0106;  // WB, WC, UC-, UC, twice
    arch::wrmsr(Msr::pat, pat);
    // SYSCALL loads CS 10h and SS 18h; SYSRET loads CS 33h or 23h and SS 2Bh.
    arch::wrmsr(Msr::star, 0x0023'0010'0000'0000);
    const auto entry = std::bit_cast<std::uint64_t>(&system_call_entry);
    arch::wrmsr(Msr::lstar, entry);
    arch::wrmsr(Msr::cstar, entry);
    arch::wrmsr(Msr::fmask, 0x4700);  // NT, DF, IF, TF
    arch::wrmsr(Msr::sysenter_cs, 0);
    arch::wrmsr(Msr::sysenter_esp, 0);
    arch::wrmsr(Msr::sysenter_eip, 0);
    arch::wrmsr(Msr::fs_base, 0);
    arch::wrmsr(Msr::gs_base, std::bit_cast<std::uint64_t>(&kpcr));
    arch::wrmsr(Msr::kernel_gs_base, std::bit_cast<std::uint64_t>(&kpcr));
    if (features().rdtscp) {
        arch::wrmsr(Msr::tsc_aux, number);
    }
}

void fill(Kpcr& kpcr, Processor& processor, std::uint32_t number) {
    kpcr.gdt_base = &processor.gdt;
    kpcr.tss_base = &processor.task;
    kpcr.idt_base = &processor.idt;
    kpcr.self = &kpcr;
    kpcr.current_prcb = &kpcr.prcb;
    kpcr.major_version = 1;
    kpcr.minor_version = 1;
    kpcr.prcb.mxcsr = arch::read_mxcsr();
    kpcr.prcb.legacy_number = static_cast<std::uint8_t>(number);
    kpcr.prcb.number = number;
    kpcr.prcb.minor_version = 1;
    kpcr.prcb.major_version = 1;
    constexpr std::uint32_t intel = 0x756E'6547;  // "Genu"
    kpcr.prcb.cpu_vendor = arch::cpuid(0).ebx == intel ? 2 : 1;
    kpcr.prcb.group_set_member = 1ULL << number;
    kpcr.prcb.group_index = static_cast<std::uint8_t>(number);
    kpcr.prcb.initial_apic_id = arch::cpuid(1).ebx >> 24;
}

}  // namespace

/// [Windows: KeNumberProcessors] Data, and obsolete: a char.
NT_EXPORT constinit char KeNumberProcessors = 1;

std::uint32_t processor_count() {
    return __atomic_load_n(&started, __ATOMIC_ACQUIRE);
}

std::uint64_t active_processors() {
    return (1ULL << processor_count()) - 1;
}

Processor& processor(std::uint32_t number) {
    return *blocks[number];
}

Processor& current_processor() {
    return *blocks[current_processor_number()];
}

bool create_processor(std::uint32_t number) {
    constexpr std::uint64_t pages = mm::pages_for(sizeof(Processor));
    const mm::LinearAddress at = mm::processor_blocks + number * (pages + 1) * mm::page_bytes;
    if (!mm::map_fresh(at, pages, mm::read_write)) {
        return false;
    }
    blocks[number] = std::bit_cast<Processor*>(at.raw());
    __builtin_memset(blocks[number], 0, sizeof(Processor));
    return true;
}

void announce_processor() {
    ++KeNumberProcessors;
    __atomic_store_n(&started, started + 1, __ATOMIC_RELEASE);
}

const hal::Features& features() {
    return processor_features;
}

void detect_features() {
    processor_features = hal::detect_features();
}

void initialise_processor(std::uint32_t number) {
    Processor& processor = ke::processor(number);
    processor.number = number;
    set_control_registers();
    for (const auto stack :
         {InterruptStack::double_fault, InterruptStack::machine_check, InterruptStack::nmi}) {
        processor.task.interrupt_stacks[static_cast<std::size_t>(stack)] =
            mm::create_stack(mm::interrupt_stack_pages).value_or(mm::Stack{}).end.raw();
    }
    processor.dpc_stack = mm::create_stack(mm::thread_stack_pages).value_or(mm::Stack{});
    processor.interrupt_stack = mm::create_stack(mm::thread_stack_pages).value_or(mm::Stack{});
    initialise_dpcs(processor);
    processor.task.io_map_base = sizeof processor.task;  // no I/O bitmap
    fill(processor.gdt, processor.task);
    fill(processor.idt);
    load(processor.gdt, processor.idt);
    set_msrs(number, processor.kpcr);
    fill(processor.kpcr, processor, number);
    set_irql(Irql::passive);
}

}  // namespace hvp::lab::ke
