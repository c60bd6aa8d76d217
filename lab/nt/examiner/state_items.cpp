// The table of the processor's control state.
#include "lab/nt/examiner/state_items.hpp"

#include <algorithm>
#include <array>
#include <bit>

#include "hypervisor/arch/instructions.hpp"
#include "lab/nt/hal/apic.hpp"
#include "lab/nt/hal/probe.hpp"
#include "lab/nt/ke/ipi.hpp"
#include "lab/nt/ke/processor.hpp"

namespace hvp::lab::examiner {
namespace {

using arch::Cr4;
using arch::Msr;
using Value = std::optional<std::uint64_t>;
using namespace std::string_view_literals;

/// The current VMCS pointer can be stored only in VMX operation.
/// [SDM 3C 30.3 "VMX Instructions"] VMPTRST
Value read_vmx_operation() {
    std::uint64_t region{};
    const bool possible = arch::read_cr4().has(Cr4::vmx_enable) && hal::probe_vmptrst(&region);
    return possible ? 1 : 0;
}

/// CR4.VMXE cannot be 0 in VMX operation, so it is the same difference and goes with it.
/// [SDM 3C 23.8 "Restrictions on VMX Operation"]
void leave_vmx_operation(std::uint64_t /*before*/) {
    (void)arch::vmxoff();
    arch::write_cr4(arch::read_cr4().without(Cr4::vmx_enable));
}

template <Msr msr>
constexpr StateItem msr_item(std::string_view name) {
    return {name,
            [] -> Value {
                std::uint64_t value{};
                const bool exists = hal::probe_rdmsr(static_cast<std::uint32_t>(msr), &value);
                return exists ? Value{value} : std::nullopt;
            },
            [](std::uint64_t before) {
                (void)hal::probe_wrmsr(static_cast<std::uint32_t>(msr), before);
            }};
}

template <int number>
constexpr StateItem breakpoint_item(std::string_view name) {
    return {name, [] -> Value { return arch::read_dr<number>(); }, arch::write_dr<number>};
}

/// LTR takes only a TSS that is not busy, and makes it busy.
void restore_task_register(std::uint64_t before) {
    auto& gdt = ke::current_processor().gdt;
    constexpr std::uint64_t busy = 1ULL << 41;
    gdt[before / 8] &= ~busy;
    arch::ltr(static_cast<std::uint16_t>(before));
}

/// Loading FS or GS also loads the base, which has an item of its own: it is kept here.
template <void (*load)(std::uint16_t), Msr base>
void restore_with_base(std::uint64_t before) {
    const std::uint64_t kept = arch::rdmsr(base);
    load(static_cast<std::uint16_t>(before));
    arch::wrmsr(base, kept);
}

template <void (*load)(std::uint16_t)>
void restore_selector(std::uint64_t before) {
    load(static_cast<std::uint16_t>(before));
}

/// Without the one by which a processor is asked to look at itself: in service on each that is
/// asked, and not on the one that asks.
template <std::uint32_t number>
std::uint64_t interrupts_in_service() {
    constexpr std::uint32_t vectors = 32;
    constexpr std::uint64_t asked =
        number == ke::ipi_vector / vectors ? 1ULL << ke::ipi_vector % vectors : 0;
    return hal::interrupts_in_service(number) & ~asked;
}

/// The handler of an interrupt that was dropped never writes its EOI, and nothing of the same or of
/// a lower priority comes any more. Each EOI ends one, whichever has the highest priority; as many
/// as are too many.
template <std::uint32_t number>
constexpr StateItem in_service_item(std::string_view name) {
    return {name, [] -> Value { return interrupts_in_service<number>(); },
            [](std::uint64_t before) {
                const std::uint64_t more = interrupts_in_service<number>() & ~before;
                for (int i = std::popcount(more); i > 0; --i) {
                    hal::end_of_interrupt();
                }
            }};
}

constexpr std::array before_tables{
    StateItem{"VMX operation"sv, read_vmx_operation, leave_vmx_operation},
    StateItem{"CR0"sv, [] -> Value { return arch::read_cr0().raw(); },
              [](std::uint64_t v) { arch::write_cr0(arch::Flags<arch::Cr0>{v}); }},
    StateItem{"CR3"sv, [] -> Value { return arch::read_cr3(); }, arch::write_cr3},
    StateItem{"CR4"sv, [] -> Value { return arch::read_cr4().raw(); },
              [](std::uint64_t v) { arch::write_cr4(arch::Flags<Cr4>{v}); }},
    StateItem{
        "GDTR base"sv, [] -> Value { return arch::sgdt().base; },
        [](std::uint64_t v) { arch::lgdt({.limit_bytes = arch::sgdt().limit_bytes, .base = v}); }},
    StateItem{"GDTR limit"sv, [] -> Value { return arch::sgdt().limit_bytes; },
              [](std::uint64_t v) {
                  arch::lgdt(
                      {.limit_bytes = static_cast<std::uint16_t>(v), .base = arch::sgdt().base});
              }},
    StateItem{
        "IDTR base"sv, [] -> Value { return arch::sidt().base; },
        [](std::uint64_t v) { arch::lidt({.limit_bytes = arch::sidt().limit_bytes, .base = v}); }},
    StateItem{"IDTR limit"sv, [] -> Value { return arch::sidt().limit_bytes; },
              [](std::uint64_t v) {
                  arch::lidt(
                      {.limit_bytes = static_cast<std::uint16_t>(v), .base = arch::sidt().base});
              }},
};

constexpr std::array after_tables{
    StateItem{"LDTR"sv, [] -> Value { return arch::sldt(); }, restore_selector<arch::lldt>},
    StateItem{"TR"sv, [] -> Value { return arch::str(); }, restore_task_register},
    StateItem{"CS"sv, [] -> Value { return arch::read_cs(); }, restore_selector<arch::reload_cs>},
    StateItem{"SS"sv, [] -> Value { return arch::read_ss(); }, restore_selector<arch::write_ss>},
    StateItem{"DS"sv, [] -> Value { return arch::read_ds(); }, restore_selector<arch::write_ds>},
    StateItem{"ES"sv, [] -> Value { return arch::read_es(); }, restore_selector<arch::write_es>},
    StateItem{"FS"sv, [] -> Value { return arch::read_fs(); },
              restore_with_base<arch::write_fs, Msr::fs_base>},
    StateItem{"GS"sv, [] -> Value { return arch::read_gs(); },
              restore_with_base<arch::write_gs, Msr::gs_base>},
    msr_item<Msr::fs_base>("FS base"sv),
    msr_item<Msr::gs_base>("GS base"sv),
    msr_item<Msr::kernel_gs_base>("KERNEL_GS_BASE"sv),
    breakpoint_item<0>("DR0"sv),
    breakpoint_item<1>("DR1"sv),
    breakpoint_item<2>("DR2"sv),
    breakpoint_item<3>("DR3"sv),
    StateItem{"DR7"sv, [] -> Value { return arch::read_dr7(); }, arch::write_dr7},
    StateItem{"MXCSR"sv, [] -> Value { return arch::read_mxcsr(); },
              [](std::uint64_t v) { arch::write_mxcsr(static_cast<std::uint32_t>(v)); }},
    StateItem{"XCR0"sv,
              [] -> Value {
                  return arch::read_cr4().has(Cr4::os_xsave) ? Value{arch::read_xcr0()}
                                                             : std::nullopt;
              },
              arch::write_xcr0},
    msr_item<Msr::xss>("XSS"sv),
    msr_item<Msr::u_cet>("U_CET"sv),
    msr_item<Msr::s_cet>("S_CET"sv),
    msr_item<Msr::efer>("EFER"sv),
    msr_item<Msr::pat>("PAT"sv),
    msr_item<Msr::sysenter_cs>("SYSENTER_CS"sv),
    msr_item<Msr::sysenter_esp>("SYSENTER_ESP"sv),
    msr_item<Msr::sysenter_eip>("SYSENTER_EIP"sv),
    msr_item<Msr::star>("STAR"sv),
    msr_item<Msr::lstar>("LSTAR"sv),
    msr_item<Msr::cstar>("CSTAR"sv),
    msr_item<Msr::fmask>("FMASK"sv),
    msr_item<Msr::tsc_aux>("TSC_AUX"sv),
    msr_item<Msr::debugctl>("DEBUGCTL"sv),
    msr_item<Msr::misc_enable>("MISC_ENABLE"sv),
    msr_item<Msr::perf_global_ctrl>("PERF_GLOBAL_CTRL"sv),
    msr_item<Msr::pebs_enable>("PEBS_ENABLE"sv),
    msr_item<Msr::feature_control>("FEATURE_CONTROL"sv),
    in_service_item<7>("APIC ISR 255:224"sv),
    in_service_item<6>("APIC ISR 223:192"sv),
    in_service_item<5>("APIC ISR 191:160"sv),
    in_service_item<4>("APIC ISR 159:128"sv),
    in_service_item<3>("APIC ISR 127:96"sv),
    in_service_item<2>("APIC ISR 95:64"sv),
    in_service_item<1>("APIC ISR 63:32"sv),
    in_service_item<0>("APIC ISR 31:0"sv),
};

// [SDM 3A 11.11.2 "Setting Memory Ranges with MTRRs"]
constexpr std::array<std::uint32_t, 12> other_memory_types{
    0x2FF, 0x250, 0x258, 0x259, 0x268, 0x269, 0x26A, 0x26B, 0x26C, 0x26D, 0x26E, 0x26F};
constexpr std::uint32_t first_variable = 0x200;
constexpr std::uint32_t variable_count = 16;

}  // namespace

std::span<const StateItem> table_items() {
    return before_tables;
}

std::span<const StateItem> register_items() {
    return after_tables;
}

std::optional<std::uint32_t> memory_type_msr(std::size_t number) {
    if (number < other_memory_types.size()) {
        return other_memory_types[number];
    }
    number -= other_memory_types.size();
    if (number < variable_count) {
        return first_variable + static_cast<std::uint32_t>(number);
    }
    return std::nullopt;
}

}  // namespace hvp::lab::examiner
