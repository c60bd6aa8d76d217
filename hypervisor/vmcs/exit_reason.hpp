// Why the processor left the guest: one row for each reason, with all that is known of it.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>

#include "hypervisor/vmcs/packed_names.hpp"

namespace hvp::vmx {

/// Basic exit reasons; the numbers are the processor's.
/// [SDM 3C 24.9.1 "Basic VM-Exit Information"], 3D appendix C
enum class ExitReason : std::uint16_t {
    exception_or_nmi = 0,
    external_interrupt = 1,
    triple_fault = 2,
    init_signal = 3,
    startup_ipi = 4,
    io_smi = 5,
    other_smi = 6,
    interrupt_window = 7,
    nmi_window = 8,
    task_switch = 9,
    cpuid = 10,
    getsec = 11,
    hlt = 12,
    invd = 13,
    invlpg = 14,
    rdpmc = 15,
    rdtsc = 16,
    rsm = 17,
    vmcall = 18,
    vmclear = 19,
    vmlaunch = 20,
    vmptrld = 21,
    vmptrst = 22,
    vmread = 23,
    vmresume = 24,
    vmwrite = 25,
    vmxoff = 26,
    vmxon = 27,
    control_register_access = 28,
    mov_dr = 29,
    io_instruction = 30,
    rdmsr = 31,
    wrmsr = 32,
    invalid_guest_state = 33,
    msr_loading = 34,
    mwait = 36,
    monitor_trap_flag = 37,
    monitor = 39,
    pause = 40,
    machine_check_event = 41,
    tpr_below_threshold = 43,
    apic_access = 44,
    virtualized_eoi = 45,
    gdtr_or_idtr_access = 46,
    ldtr_or_tr_access = 47,
    ept_violation = 48,
    ept_misconfiguration = 49,
    invept = 50,
    rdtscp = 51,
    preemption_timer = 52,
    invvpid = 53,
    wbinvd = 54,
    xsetbv = 55,
    apic_write = 56,
    rdrand = 57,
    invpcid = 58,
    vmfunc = 59,
    encls = 60,
    rdseed = 61,
    page_modification_log_full = 62,
    xsaves = 63,
    xrstors = 64,
    spp_event = 66,
    umwait = 67,
    tpause = 68,
};

/// The exit-reason field.  [SDM 3C 24.9.1 "Basic VM-Exit Information", Table 24-14]
struct ExitReasonField {
    std::uint32_t basic_reason : 16 {};
    std::uint32_t reserved_26_16 : 11 {};
    std::uint32_t enclave : 1 {};
    std::uint32_t pending_mtf : 1 {};
    std::uint32_t from_root : 1 {};
    std::uint32_t reserved_30 : 1 {};
    std::uint32_t entry_failure : 1 {};  ///< the guest never ran: VM entry failed

    /// A number that the SDM does not define is none of the enumerators.
    [[nodiscard]] constexpr ExitReason basic() const {
        return static_cast<ExitReason>(basic_reason);
    }
};
static_assert(sizeof(ExitReasonField) == sizeof(std::uint32_t));

/// Whether the exit's instruction-length field holds the length of the instruction that caused the
/// exit, whatever else happened. Otherwise it is undefined, and no instruction is stepped over.
/// [SDM 3C 27.2.4 "Information for VM Exits Due to Instruction Execution"]
enum class InstructionLength : std::uint8_t { undefined, valid };

/// What the exit qualification holds.  [SDM 3C 27.2.1 "Basic VM-Exit Information"]
enum class Qualification : std::uint8_t {
    none,
    debug_or_page_fault,      ///< causes of #DB (Table 27-1), or the linear address of #PF
    startup_vector,           ///< of the start-up IPI
    task_switch,              ///< Table 27-2
    linear_address,           ///< the operand of INVLPG
    displacement,             ///< of the instruction's memory operand
    control_register_access,  ///< Table 27-3: `ControlRegisterAccess`
    debug_register_access,    ///< Table 27-4
    io_instruction,           ///< Table 27-5
    mwait,                    ///< whether MONITOR had armed the address range
    entry_failure,            ///< which check of the guest state failed
    msr_area_entry,           ///< the number of the MSR-load area's entry, from 1
    apic_access,              ///< Table 27-6
    eoi_vector,
    apic_write,      ///< the offset in the APIC-access page
    ept_violation,   ///< Table 27-7: `ept::ViolationQualification`
    nmi_unblocking,  ///< bit 12 only: `nmi_unblocking_by_iret`
};

/// What the trace records of an exit beside qualification, RIP and length.
enum class ExitDetail : std::uint8_t {
    none,
    interruption_information,
    cpuid_leaf,
    hypercall,
    general_register,  ///< the value of the register that the qualification names
    msr,
    guest_physical_address,
};

/// One row of the table.
struct ExitReasonFacts {
    ExitReason reason;
    std::string_view name;  ///< the SDM's
    InstructionLength instruction_length{InstructionLength::undefined};
    Qualification qualification{Qualification::none};
    ExitDetail detail{ExitDetail::none};
};

// clang-format off
/// Every basic exit reason.  [SDM 3C 24.9.1 "Basic VM-Exit Information"], 3D appendix C
inline constexpr auto exit_reasons = std::to_array<ExitReasonFacts>({
    {ExitReason::exception_or_nmi, "exception or NMI", InstructionLength::undefined, Qualification::debug_or_page_fault, ExitDetail::interruption_information},
    {ExitReason::external_interrupt, "external interrupt", InstructionLength::undefined, Qualification::none, ExitDetail::interruption_information},
    {ExitReason::triple_fault, "triple fault"},
    {ExitReason::init_signal, "INIT signal"},
    {ExitReason::startup_ipi, "start-up IPI", InstructionLength::undefined, Qualification::startup_vector},
    {ExitReason::io_smi, "I/O system-management interrupt"},
    {ExitReason::other_smi, "other SMI"},
    {ExitReason::interrupt_window, "interrupt window"},
    {ExitReason::nmi_window, "NMI window"},
    {ExitReason::task_switch, "task switch", InstructionLength::undefined, Qualification::task_switch},
    {ExitReason::cpuid, "CPUID", InstructionLength::valid, Qualification::none, ExitDetail::cpuid_leaf},
    {ExitReason::getsec, "GETSEC", InstructionLength::valid},
    {ExitReason::hlt, "HLT", InstructionLength::valid},
    {ExitReason::invd, "INVD", InstructionLength::valid},
    {ExitReason::invlpg, "INVLPG", InstructionLength::valid, Qualification::linear_address},
    {ExitReason::rdpmc, "RDPMC", InstructionLength::valid},
    {ExitReason::rdtsc, "RDTSC", InstructionLength::valid},
    {ExitReason::rsm, "RSM"},
    {ExitReason::vmcall, "VMCALL", InstructionLength::valid, Qualification::none, ExitDetail::hypercall},
    {ExitReason::vmclear, "VMCLEAR", InstructionLength::valid, Qualification::displacement},
    {ExitReason::vmlaunch, "VMLAUNCH", InstructionLength::valid},
    {ExitReason::vmptrld, "VMPTRLD", InstructionLength::valid, Qualification::displacement},
    {ExitReason::vmptrst, "VMPTRST", InstructionLength::valid, Qualification::displacement},
    {ExitReason::vmread, "VMREAD", InstructionLength::valid, Qualification::displacement},
    {ExitReason::vmresume, "VMRESUME", InstructionLength::valid},
    {ExitReason::vmwrite, "VMWRITE", InstructionLength::valid, Qualification::displacement},
    {ExitReason::vmxoff, "VMXOFF", InstructionLength::valid},
    {ExitReason::vmxon, "VMXON", InstructionLength::valid, Qualification::displacement},
    {ExitReason::control_register_access, "control-register access", InstructionLength::valid, Qualification::control_register_access, ExitDetail::general_register},
    {ExitReason::mov_dr, "MOV DR", InstructionLength::valid, Qualification::debug_register_access},
    {ExitReason::io_instruction, "I/O instruction", InstructionLength::valid, Qualification::io_instruction},
    {ExitReason::rdmsr, "RDMSR", InstructionLength::valid, Qualification::none, ExitDetail::msr},
    {ExitReason::wrmsr, "WRMSR", InstructionLength::valid, Qualification::none, ExitDetail::msr},
    {ExitReason::invalid_guest_state, "VM-entry failure due to invalid guest state", InstructionLength::undefined, Qualification::entry_failure},
    {ExitReason::msr_loading, "VM-entry failure due to MSR loading", InstructionLength::undefined, Qualification::msr_area_entry},
    {ExitReason::mwait, "MWAIT", InstructionLength::valid, Qualification::mwait},
    {ExitReason::monitor_trap_flag, "monitor trap flag"},
    {ExitReason::monitor, "MONITOR", InstructionLength::valid},
    {ExitReason::pause, "PAUSE", InstructionLength::valid},
    {ExitReason::machine_check_event, "VM-entry failure due to machine-check event"},
    {ExitReason::tpr_below_threshold, "TPR below threshold"},
    {ExitReason::apic_access, "APIC access", InstructionLength::undefined, Qualification::apic_access},
    {ExitReason::virtualized_eoi, "virtualized EOI", InstructionLength::undefined, Qualification::eoi_vector},
    {ExitReason::gdtr_or_idtr_access, "access to GDTR or IDTR", InstructionLength::valid, Qualification::displacement},
    {ExitReason::ldtr_or_tr_access, "access to LDTR or TR", InstructionLength::valid, Qualification::displacement},
    {ExitReason::ept_violation, "EPT violation", InstructionLength::undefined, Qualification::ept_violation, ExitDetail::guest_physical_address},
    {ExitReason::ept_misconfiguration, "EPT misconfiguration", InstructionLength::undefined, Qualification::none, ExitDetail::guest_physical_address},
    {ExitReason::invept, "INVEPT", InstructionLength::valid, Qualification::displacement},
    {ExitReason::rdtscp, "RDTSCP", InstructionLength::valid},
    {ExitReason::preemption_timer, "VMX-preemption timer expired"},
    {ExitReason::invvpid, "INVVPID", InstructionLength::valid, Qualification::displacement},
    {ExitReason::wbinvd, "WBINVD", InstructionLength::valid},
    {ExitReason::xsetbv, "XSETBV", InstructionLength::valid},
    {ExitReason::apic_write, "APIC write", InstructionLength::undefined, Qualification::apic_write},
    {ExitReason::rdrand, "RDRAND", InstructionLength::valid},
    {ExitReason::invpcid, "INVPCID", InstructionLength::valid, Qualification::displacement},
    {ExitReason::vmfunc, "VMFUNC"},
    {ExitReason::encls, "ENCLS", InstructionLength::valid},
    {ExitReason::rdseed, "RDSEED", InstructionLength::valid},
    {ExitReason::page_modification_log_full, "page-modification log full", InstructionLength::undefined, Qualification::nmi_unblocking},
    {ExitReason::xsaves, "XSAVES", InstructionLength::valid, Qualification::displacement},
    {ExitReason::xrstors, "XRSTORS", InstructionLength::valid, Qualification::displacement},
    {ExitReason::spp_event, "SPP-related event", InstructionLength::undefined, Qualification::nmi_unblocking},
    {ExitReason::umwait, "UMWAIT"},
    {ExitReason::tpause, "TPAUSE"},
});
// clang-format on
static_assert(std::ranges::adjacent_find(exit_reasons,
                                         [](const ExitReasonFacts& a, const ExitReasonFacts& b) {
                                             return a.reason >= b.reason;
                                         }) == exit_reasons.end(),
              "ascending, each once");

[[nodiscard]] constexpr std::uint32_t number_of(ExitReason reason) {
    return std::to_underlying(reason);
}

/// How many numbers there are, the undefined ones among them too.
inline constexpr std::uint32_t exit_reason_count = number_of(exit_reasons.back().reason) + 1;

/// The row of a reason; an empty one for a number that the SDM does not define.
[[nodiscard]] constexpr ExitReasonFacts facts_of(ExitReason reason) {
    const auto* const row =
        std::ranges::lower_bound(exit_reasons, reason, {}, &ExitReasonFacts::reason);
    return row != exit_reasons.end() && row->reason == reason
               ? *row
               : ExitReasonFacts{.reason = reason, .name = {}};
}

[[nodiscard]] constexpr bool has_instruction_length(ExitReason reason) {
    return facts_of(reason).instruction_length == InstructionLength::valid;
}

/// Something for each basic exit reason.
template <typename T>
struct PerExitReason {
    std::array<T, exit_reason_count> values{};

    [[nodiscard]] static constexpr std::uint32_t size() { return exit_reason_count; }
    [[nodiscard]] constexpr T& operator[](ExitReason reason) { return values[number_of(reason)]; }
    [[nodiscard]] constexpr const T& operator[](ExitReason reason) const {
        return values[number_of(reason)];
    }
};

/// The names with their numbers as indices, as `packed_names` wants them.
[[nodiscard]] constexpr std::array<std::string_view, exit_reason_count> exit_reason_name_list() {
    PerExitReason<std::string_view> names;
    for (const ExitReasonFacts& row : exit_reasons) {
        names[row.reason] = row.name;
    }
    return names.values;
}
inline constexpr auto exit_reason_names = packed_names<exit_reason_name_list>();

/// The SDM's name for a basic exit reason; "unknown" for a number that it does not define.
[[nodiscard]] constexpr const char* exit_reason_name(std::uint32_t number) {
    return exit_reason_names.of(number);
}
[[nodiscard]] constexpr const char* exit_reason_name(ExitReason reason) {
    return exit_reason_name(number_of(reason));
}

}  // namespace hvp::vmx
