// The VMX instructions as a guest has them: as on a processor outside VMX operation.
//
// In VMX non-root operation all of them but VMFUNC exit, at every privilege level. It is the VMM
// that decides what the guest's processor is like; this one's has no VT-x: CPUID says so, CR4.VMXE
// cannot be set, and so each of these is an invalid opcode, whatever the mode and the privilege
// level. [SDM 3C 25.1.2 "Instructions That Cause VM Exits Unconditionally"]
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>

#include "hypervisor/vmcs/event_information.hpp"

namespace hvp::vmx {

/// What becomes of one instruction.
struct VmxInstruction {
    std::uint32_t exit_reason;  ///< basic; 0: there is no exit
    std::string_view name;
    Vector event;
    std::string_view rule;  ///< the first line of its operation, by which outside VMX operation …
};

/// To treat another instruction that exits in this way, add its line, and its number to the table
/// of handlers: see stages/event-injection/README.md.  [SDM 3C 30.3 "VMX Instructions"], by
/// instruction
inline constexpr auto vmx_instructions = std::to_array<VmxInstruction>({
    {18, "VMCALL", Vector::invalid_opcode, "IF not in VMX operation THEN #UD"},
    {19, "VMCLEAR", Vector::invalid_opcode, "IF … (not in VMX operation) … THEN #UD"},
    {20, "VMLAUNCH", Vector::invalid_opcode, "IF (not in VMX operation) … THEN #UD"},
    {21, "VMPTRLD", Vector::invalid_opcode, "IF … (not in VMX operation) … THEN #UD"},
    {22, "VMPTRST", Vector::invalid_opcode, "IF … (not in VMX operation) … THEN #UD"},
    {23, "VMREAD", Vector::invalid_opcode, "IF (not in VMX operation) … THEN #UD"},
    {24, "VMRESUME", Vector::invalid_opcode, "IF (not in VMX operation) … THEN #UD"},
    {25, "VMWRITE", Vector::invalid_opcode, "IF (not in VMX operation) … THEN #UD"},
    {26, "VMXOFF", Vector::invalid_opcode, "IF (not in VMX operation) … THEN #UD"},
    // VMXON is what enters VMX operation; but without CR4.VMXE, which cannot be set here, …
    {27, "VMXON", Vector::invalid_opcode, "IF … (CR4.VMXE = 0) … THEN #UD"},
    {50, "INVEPT", Vector::invalid_opcode, "IF (not in VMX operation) … THEN #UD"},
    {53, "INVVPID", Vector::invalid_opcode, "IF (not in VMX operation) … THEN #UD"},
    // With the control "enable VM functions" 0 the processor raises #UD itself.
    // [SDM 3C 25.5.5.2 "General Operation of the VMFUNC Instruction"]
    {0, "VMFUNC", Vector::invalid_opcode, "#UD If executed outside VMX non-root operation"},
});
static_assert(vmx_instructions.size() == 13);

/// One handler for all of them, which therefore need not look at the reason.
static_assert(std::ranges::all_of(vmx_instructions, [](const VmxInstruction& instruction) {
    return instruction.event == Vector::invalid_opcode;
}));

}  // namespace hvp::vmx
