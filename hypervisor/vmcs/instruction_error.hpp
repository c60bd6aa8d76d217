// Why a VMX instruction failed, when a current VMCS holds the number.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "hypervisor/vmcs/packed_names.hpp"

namespace hvp::vmx {

/// [SDM 3C 30.4 "VM Instruction Error Numbers", Table 30-1]
/// The number is the index; where the manual defines none, the entry is empty.
constexpr std::array<std::string_view, 29> list_instruction_errors() {
    std::array<std::string_view, 29> names{};
    names[1] = "VMCALL executed in VMX root operation";
    names[2] = "VMCLEAR with invalid physical address";
    names[3] = "VMCLEAR with VMXON pointer";
    names[4] = "VMLAUNCH with non-clear VMCS";
    names[5] = "VMRESUME with non-launched VMCS";
    names[6] = "VMRESUME after VMXOFF";
    names[7] = "VM entry with invalid control field";
    names[8] = "VM entry with invalid host-state field";
    names[9] = "VMPTRLD with invalid physical address";
    names[10] = "VMPTRLD with VMXON pointer";
    names[11] = "VMPTRLD with incorrect VMCS revision identifier";
    names[12] = "VMREAD or VMWRITE of an unsupported VMCS component";
    names[13] = "VMWRITE to a read-only VMCS component";
    names[15] = "VMXON executed in VMX root operation";
    names[16] = "VM entry with invalid executive-VMCS pointer";
    names[17] = "VM entry with non-launched executive VMCS";
    names[18] = "VM entry with executive-VMCS pointer not VMXON pointer";
    names[19] = "VMCALL with non-clear VMCS";
    names[20] = "VMCALL with invalid VM-exit control field";
    names[22] = "VMCALL with incorrect MSEG revision identifier";
    names[23] = "VMXOFF under dual-monitor treatment of SMIs and SMM";
    names[24] = "VMCALL with invalid SMM-monitor features";
    names[25] = "VM entry with invalid VM-execution control field in executive VMCS";
    names[26] = "VM entry with events blocked by MOV SS";
    names[28] = "invalid operand to INVEPT or INVVPID";
    return names;
}

inline constexpr auto instruction_error_names = packed_names<list_instruction_errors>();

/// The SDM's name for a VM-instruction error; "unknown" for a number that it does not define.
[[nodiscard]] constexpr const char* instruction_error_name(std::uint32_t number) {
    return instruction_error_names.of(number);
}

}  // namespace hvp::vmx
