// Why the processor left the guest: the SDM's numbers and names, in one table.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "hypervisor/vmcs/packed_names.hpp"

namespace hvp::vmx {

/// The exit-reason field.  [SDM 3C 24.9.1 "Basic VM-Exit Information", Table 24-14]
struct ExitReasonField {
    std::uint32_t basic_reason : 16 {};
    std::uint32_t reserved_26_16 : 11 {};
    std::uint32_t enclave : 1 {};
    std::uint32_t pending_mtf : 1 {};
    std::uint32_t from_root : 1 {};
    std::uint32_t reserved_30 : 1 {};
    std::uint32_t entry_failure : 1 {};  ///< the guest never ran: VM entry failed
};
static_assert(sizeof(ExitReasonField) == sizeof(std::uint32_t));

inline constexpr std::uint32_t exit_reason_nmi_window = 8;
inline constexpr std::uint32_t exit_reason_hlt = 12;
inline constexpr std::uint32_t exit_reason_monitor_trap_flag = 37;
inline constexpr std::uint32_t exit_reason_ept_violation = 48;

/// Basic exit reasons, ascending.  [SDM 3C 24.9.1 "Basic VM-Exit Information"], 3D appendix C
/// The number is the index; where the manual defines none, the entry is empty.
constexpr std::array<std::string_view, 69> list_exit_reasons() {
    std::array<std::string_view, 69> names{};
    names[0] = "exception or NMI";
    names[1] = "external interrupt";
    names[2] = "triple fault";
    names[3] = "INIT signal";
    names[4] = "start-up IPI";
    names[5] = "I/O system-management interrupt";
    names[6] = "other SMI";
    names[7] = "interrupt window";
    names[8] = "NMI window";
    names[9] = "task switch";
    names[10] = "CPUID";
    names[11] = "GETSEC";
    names[12] = "HLT";
    names[13] = "INVD";
    names[14] = "INVLPG";
    names[15] = "RDPMC";
    names[16] = "RDTSC";
    names[17] = "RSM";
    names[18] = "VMCALL";
    names[19] = "VMCLEAR";
    names[20] = "VMLAUNCH";
    names[21] = "VMPTRLD";
    names[22] = "VMPTRST";
    names[23] = "VMREAD";
    names[24] = "VMRESUME";
    names[25] = "VMWRITE";
    names[26] = "VMXOFF";
    names[27] = "VMXON";
    names[28] = "control-register access";
    names[29] = "MOV DR";
    names[30] = "I/O instruction";
    names[31] = "RDMSR";
    names[32] = "WRMSR";
    names[33] = "VM-entry failure due to invalid guest state";
    names[34] = "VM-entry failure due to MSR loading";
    names[36] = "MWAIT";
    names[37] = "monitor trap flag";
    names[39] = "MONITOR";
    names[40] = "PAUSE";
    names[41] = "VM-entry failure due to machine-check event";
    names[43] = "TPR below threshold";
    names[44] = "APIC access";
    names[45] = "virtualized EOI";
    names[46] = "access to GDTR or IDTR";
    names[47] = "access to LDTR or TR";
    names[48] = "EPT violation";
    names[49] = "EPT misconfiguration";
    names[50] = "INVEPT";
    names[51] = "RDTSCP";
    names[52] = "VMX-preemption timer expired";
    names[53] = "INVVPID";
    names[54] = "WBINVD";
    names[55] = "XSETBV";
    names[56] = "APIC write";
    names[57] = "RDRAND";
    names[58] = "INVPCID";
    names[59] = "VMFUNC";
    names[60] = "ENCLS";
    names[61] = "RDSEED";
    names[62] = "page-modification log full";
    names[63] = "XSAVES";
    names[64] = "XRSTORS";
    names[66] = "SPP-related event";
    names[67] = "UMWAIT";
    names[68] = "TPAUSE";
    return names;
}

inline constexpr auto exit_reason_names = packed_names<list_exit_reasons>();

/// The SDM's name for a basic exit reason; "unknown" for a number that it does not define.
[[nodiscard]] constexpr const char* exit_reason_name(std::uint32_t number) {
    return exit_reason_names.of(number);
}

}  // namespace hvp::vmx
