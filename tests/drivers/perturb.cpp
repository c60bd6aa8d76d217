// A driver that leaves one thing of the processor changed. Which one, its service name says:
// perturb-cr4 changes CR4, perturb-last-cr4 that of the last processor. There is a change for every
// item that the lab's examiner compares, so the tests can see that it sees them.
//
// Each change is a DriverUnload routine: what it leaves is examined right after it returns, before
// anything else runs. It must be the only difference.
#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <string_view>

#include "hypervisor/arch/descriptor_tables.hpp"
#include "hypervisor/arch/instructions.hpp"
#include "hypervisor/arch/local_apic.hpp"
#include "hypervisor/arch/processor_state.hpp"
#include "platform/windows/nt.hpp"
#include "tests/drivers/service_name.hpp"

namespace {

using namespace hvp;
using namespace std::string_view_literals;
using arch::Msr;

template <Msr msr, std::uint64_t value>
void change_msr(PDRIVER_OBJECT) {
    arch::wrmsr(msr, value);
}

template <Msr msr, std::uint64_t bits>
void flip_msr(PDRIVER_OBJECT) {
    arch::wrmsr(msr, arch::rdmsr(msr) ^ bits);
}

void change_cr0(PDRIVER_OBJECT) {
    arch::write_cr0(arch::read_cr0().without(arch::Cr0::monitor_coprocessor));
}

void change_cr3(PDRIVER_OBJECT) {
    constexpr std::uint64_t write_through = 1 << 3;
    arch::write_cr3(arch::read_cr3() | write_through);
}

void change_cr4(PDRIVER_OBJECT) {
    arch::write_cr4(arch::read_cr4().without(arch::Cr4::debugging_extensions));
}

// VMX operation is left, and the bit that allows it is forgotten: the next hypervisor finds VT-x
// taken.
void change_vmxe(PDRIVER_OBJECT) {
    arch::write_cr4(arch::read_cr4() | arch::Cr4::vmx_enable);
}

void change_cr8(PDRIVER_OBJECT) {
    arch::write_cr8(APC_LEVEL);
}

template <int number>
void change_breakpoint(PDRIVER_OBJECT) {
    arch::write_dr<number>(0x7000'0000'0000);
}

void change_dr7(PDRIVER_OBJECT) {
    constexpr std::uint64_t exact_breakpoints = 0x300;
    arch::write_dr7(arch::read_dr7() ^ exact_breakpoints);
}

template <std::uint64_t flag>
void change_flag(PDRIVER_OBJECT) {
    const std::uint64_t flags = arch::read_rflags().raw();
    arch::write_rflags(arch::Flags<arch::Rflags>{flags ^ flag});
}

// ---- Tables ---------------------------------------------------------------------------------

constexpr std::size_t windows_slots = 11;
constexpr std::size_t empty_slot = 7;  // selector 38h
constexpr std::size_t task_slot = 8;   // selector 40h, two slots
constexpr std::size_t copy_of_task = 12;

alignas(16) constinit std::array<std::uint64_t, 14> other_gdt{};
alignas(16) constinit std::array<std::uint64_t, 512> other_idt{};

void copy_gdt() {
    const auto* gdt = std::bit_cast<const std::uint64_t*>(arch::sgdt().base);
    std::copy_n(gdt, windows_slots, other_gdt.begin());
}

/// Does something while another GDT is loaded, so that a register can get a selector whose slot in
/// the real GDT is empty.
template <typename Action>
void with_other_gdt(Action action) {
    arch::cli();
    copy_gdt();
    const auto windows = arch::sgdt();
    arch::lgdt(
        {.limit_bytes = sizeof other_gdt - 1, .base = std::bit_cast<std::uint64_t>(&other_gdt)});
    action();
    arch::lgdt(windows);
    arch::sti();
}

void change_gdtr_base(PDRIVER_OBJECT) {
    copy_gdt();
    arch::lgdt({.limit_bytes = arch::sgdt().limit_bytes,
                .base = std::bit_cast<std::uint64_t>(&other_gdt)});
}

void change_gdtr_limit(PDRIVER_OBJECT) {
    arch::lgdt({.limit_bytes = 0xFFFF, .base = arch::sgdt().base});
}

void change_idtr_base(PDRIVER_OBJECT) {
    const auto* idt = std::bit_cast<const std::uint64_t*>(arch::sidt().base);
    std::copy_n(idt, other_idt.size(), other_idt.begin());
    arch::lidt({.limit_bytes = arch::sidt().limit_bytes,
                .base = std::bit_cast<std::uint64_t>(&other_idt)});
}

void change_idtr_limit(PDRIVER_OBJECT) {
    arch::lidt({.limit_bytes = 0xFFFF, .base = arch::sidt().base});
}

void change_gdt(PDRIVER_OBJECT) {
    std::bit_cast<std::uint64_t*>(arch::sgdt().base)[empty_slot] = 0x00CF'F300'0000'FFFF;
}

void change_idt(PDRIVER_OBJECT) {
    constexpr std::size_t unused_vector = 0xF0;
    constexpr std::uint64_t for_users = 3ULL << 45;
    std::bit_cast<std::uint64_t*>(arch::sidt().base)[2 * unused_vector] |= for_users;
}

extern "C" void hvp_forget_interrupt();
/// The handler of an interrupt that writes no EOI.
asm("    .text\n"
    "hvp_forget_interrupt:\n"
    "    movb $1, interrupt_came(%rip)\n"
    "    iretq\n");
extern "C" [[gnu::used]] constinit volatile bool interrupt_came = false;

/// [SDM 3A 10.6.1 "Interrupt Command Register (ICR)"]
void change_in_service(PDRIVER_OBJECT) {
    constexpr std::uint8_t vector = 0x31;
    auto& gate = std::bit_cast<arch::InterruptGate*>(arch::sidt().base)[vector];
    const arch::InterruptGate before = gate;
    void* const registers = MmMapIoSpace(
        {.QuadPart = static_cast<LONGLONG>(arch::LocalApic::base().raw())}, PAGE_SIZE, MmNonCached);
    gate = arch::interrupt_gate(std::bit_cast<std::uint64_t>(&hvp_forget_interrupt),
                                arch::raw(arch::selector_from(arch::read_cs())), 0);
    {
        const arch::InterruptsOff interrupts_off;
        arch::LocalApic{static_cast<volatile std::uint32_t*>(registers)}.send_to_self(vector);
    }
    while (!interrupt_came) {
        arch::pause();
    }
    gate = before;
    MmUnmapIoSpace(registers, PAGE_SIZE);
}

void change_ldtr(PDRIVER_OBJECT) {
    constexpr std::uint64_t ldt_descriptor = 0x0000'8200'0000'000F;
    with_other_gdt([] {
        // The descriptor takes two slots; the second one, upper base bits, is the TSS's: save it.
        const std::uint64_t task = other_gdt[task_slot];
        other_gdt[empty_slot] = ldt_descriptor;
        other_gdt[task_slot] = 0;
        arch::lldt(empty_slot * 8);
        other_gdt[task_slot] = task;
    });
}

void change_tr(PDRIVER_OBJECT) {
    with_other_gdt([] {
        constexpr std::uint64_t busy = 1ULL << 41;
        other_gdt[copy_of_task] = other_gdt[task_slot] & ~busy;
        other_gdt[copy_of_task + 1] = other_gdt[task_slot + 1];
        arch::ltr(copy_of_task * 8);
    });
}

// ---- Selectors ------------------------------------------------------------------------------

constexpr std::uint16_t user_data_without_rpl = 0x28;

void change_cs(PDRIVER_OBJECT) {
    with_other_gdt([] {
        constexpr std::size_t kernel_code_slot = 2;
        other_gdt[empty_slot] = other_gdt[kernel_code_slot];
        arch::reload_cs(empty_slot * 8);
    });
}

void change_ss(PDRIVER_OBJECT) {
    arch::write_ss(0);
}

void change_ds(PDRIVER_OBJECT) {
    arch::write_ds(user_data_without_rpl);
}

void change_es(PDRIVER_OBJECT) {
    arch::write_es(user_data_without_rpl);
}

template <void (*load)(std::uint16_t), Msr base>
void change_with_base(PDRIVER_OBJECT) {
    arch::cli();
    const std::uint64_t kept = arch::rdmsr(base);
    load(user_data_without_rpl);
    arch::wrmsr(base, kept);
    arch::sti();
}

// ---- The rest -------------------------------------------------------------------------------

void change_mxcsr(PDRIVER_OBJECT) {
    constexpr std::uint32_t flush_to_zero = 1 << 15;
    arch::write_mxcsr(arch::read_mxcsr() ^ flush_to_zero);
}

void change_xcr0(PDRIVER_OBJECT) {
    constexpr std::uint64_t x87_and_sse = 3;
    arch::write_xcr0(x87_and_sse);
}

alignas(4096) constinit std::array<std::uint32_t, 1024> vmxon_region{};

void stay_in_vmx_operation(PDRIVER_OBJECT) {
    vmxon_region[0] = static_cast<std::uint32_t>(arch::rdmsr(Msr::vmx_basic));
    arch::write_cr4(arch::read_cr4() | arch::Cr4::vmx_enable);
    const auto physical = MmGetPhysicalAddress(vmxon_region.data());
    static_cast<void>(
        arch::vmxon(arch::HostPhysicalAddress{static_cast<std::uint64_t>(physical.QuadPart)}));
}

// A called function must preserve RBX and XMM6. The compiler is not told that these are written.
void change_rbx(PDRIVER_OBJECT) {
    asm volatile("movq $0x1234, %rbx");
}

void change_xmm6(PDRIVER_OBJECT) {
    asm volatile("pxor %xmm6, %xmm6");
}

struct Change {
    std::string_view name;
    PDRIVER_UNLOAD make;
};

constinit PDRIVER_UNLOAD chosen = nullptr;

/// The same, but on the last processor; the thread returns on the first one.
void change_on_last_processor(PDRIVER_OBJECT driver) {
    const ULONG last = KeQueryActiveProcessorCount(nullptr) - 1;
    KeSetSystemAffinityThreadEx(KAFFINITY{1} << last);
    chosen(driver);
    KeSetSystemAffinityThreadEx(1);
    KeRevertToUserAffinityThreadEx(0);
}

constexpr Msr first_variable_range{0x202};
constexpr Msr default_memory_type{0x2FF};

constexpr std::array changes{
    Change{"vmx-operation"sv, stay_in_vmx_operation},
    Change{"cr0"sv, change_cr0},
    Change{"cr3"sv, change_cr3},
    Change{"cr4"sv, change_cr4},
    Change{"cr4-vmxe"sv, change_vmxe},
    Change{"cr8"sv, change_cr8},
    Change{"dr0"sv, change_breakpoint<0>},
    Change{"dr1"sv, change_breakpoint<1>},
    Change{"dr2"sv, change_breakpoint<2>},
    Change{"dr3"sv, change_breakpoint<3>},
    Change{"dr7"sv, change_dr7},
    Change{"rflags-if"sv, change_flag<1 << 9>},
    Change{"rflags-df"sv, change_flag<1 << 10>},
    Change{"rflags-iopl"sv, change_flag<1 << 12>},
    Change{"rflags-nt"sv, change_flag<1 << 14>},
    Change{"rflags-ac"sv, change_flag<1 << 18>},
    Change{"gdtr-base"sv, change_gdtr_base},
    Change{"gdtr-limit"sv, change_gdtr_limit},
    Change{"idtr-base"sv, change_idtr_base},
    Change{"idtr-limit"sv, change_idtr_limit},
    Change{"gdt"sv, change_gdt},
    Change{"idt"sv, change_idt},
    Change{"ldtr"sv, change_ldtr},
    Change{"tr"sv, change_tr},
    Change{"cs"sv, change_cs},
    Change{"ss"sv, change_ss},
    Change{"ds"sv, change_ds},
    Change{"es"sv, change_es},
    Change{"fs"sv, change_with_base<arch::write_fs, Msr::fs_base>},
    Change{"gs"sv, change_with_base<arch::write_gs, Msr::gs_base>},
    Change{"fs-base"sv, change_msr<Msr::fs_base, 0x7FFD'B000>},
    Change{"gs-base"sv, change_msr<Msr::gs_base, 0x7FFD'C000>},
    Change{"kernel-gs-base"sv, change_msr<Msr::kernel_gs_base, 0x7FFD'D000>},
    Change{"mxcsr"sv, change_mxcsr},
    Change{"xcr0"sv, change_xcr0},
    Change{"xss"sv, flip_msr<Msr::xss, 1 << 11>},
    Change{"u-cet"sv, flip_msr<Msr::u_cet, 2>},
    Change{"s-cet"sv, flip_msr<Msr::s_cet, 2>},
    Change{"in-service"sv, change_in_service},
    Change{"efer"sv, flip_msr<Msr::efer, 1>},
    Change{"pat"sv, flip_msr<Msr::pat, 0x01ULL << 56>},
    Change{"sysenter-cs"sv, flip_msr<Msr::sysenter_cs, 0x18>},
    Change{"sysenter-esp"sv, flip_msr<Msr::sysenter_esp, 0x1000>},
    Change{"sysenter-eip"sv, flip_msr<Msr::sysenter_eip, 0x2000>},
    Change{"star"sv, flip_msr<Msr::star, 1ULL << 35>},
    Change{"lstar"sv, flip_msr<Msr::lstar, 0x40>},
    Change{"cstar"sv, flip_msr<Msr::cstar, 0x40>},
    Change{"fmask"sv, flip_msr<Msr::fmask, 1 << 18>},
    Change{"tsc-aux"sv, flip_msr<Msr::tsc_aux, 5>},
    Change{"debugctl"sv, flip_msr<Msr::debugctl, 2>},
    Change{"misc-enable"sv, flip_msr<Msr::misc_enable, 1>},
    Change{"feature-control"sv, change_msr<Msr::feature_control, 1>},
    Change{"mtrr"sv, change_msr<first_variable_range, 0x1000'0006>},
    Change{"mtrr-default"sv, flip_msr<default_memory_type, 1 << 10>},
    Change{"rbx"sv, change_rbx},
    Change{"xmm6"sv, change_xmm6},
};

}  // namespace

extern "C" NTSTATUS DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path) {
    bool on_last = false;
    const auto* change = std::ranges::find_if(changes, [&](const Change& one) {
        return tests::is_service(*path, "perturb-"sv, one.name);
    });
    if (change == changes.end()) {
        change = std::ranges::find_if(changes, [&](const Change& one) {
            return tests::is_service(*path, "perturb-last-"sv, one.name);
        });
        on_last = true;
    }
    if (change == changes.end()) {
        DbgPrintEx(DPFLTR_IHVDRIVER_ID, DPFLTR_ERROR_LEVEL, "no such change: %wZ\n", path);
        return STATUS_NOT_SUPPORTED;
    }
    chosen = change->make;
    driver->DriverUnload = on_last ? change_on_last_processor : chosen;
    return STATUS_SUCCESS;
}
