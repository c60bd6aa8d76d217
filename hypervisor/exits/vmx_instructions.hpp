// The VMX instructions as a guest has them: as on a processor outside VMX operation.
//
// In VMX non-root operation all of them but VMFUNC exit, at every privilege level. It is the VMM
// that decides what the guest's processor is like; this one's has no VT-x: CPUID says so, CR4.VMXE
// cannot be set, and so each of these is an invalid opcode, whatever the mode and the privilege
// level. [SDM 3C 25.1.2 "Instructions That Cause VM Exits Unconditionally"]
#pragma once

#include <array>
#include <string_view>

#include "hypervisor/vmcs/exit_reason.hpp"

namespace hvp::vmx {

/// One instruction that raises #UD.
struct VmxInstruction {
    ExitReason reason;
    std::string_view rule;  ///< the first line of its operation, by which outside VMX operation …
    bool exits{true};
};

/// To treat another instruction that exits in this way, add its line: the table of handlers gets a
/// row for each that exits. See stages/event-injection/README.md.
/// [SDM 3C 30.3 "VMX Instructions"], by instruction
inline constexpr auto vmx_instructions = std::to_array<VmxInstruction>({
    {ExitReason::vmcall, "IF not in VMX operation THEN #UD"},
    {ExitReason::vmclear, "IF … (not in VMX operation) … THEN #UD"},
    {ExitReason::vmlaunch, "IF (not in VMX operation) … THEN #UD"},
    {ExitReason::vmptrld, "IF … (not in VMX operation) … THEN #UD"},
    {ExitReason::vmptrst, "IF … (not in VMX operation) … THEN #UD"},
    {ExitReason::vmread, "IF (not in VMX operation) … THEN #UD"},
    {ExitReason::vmresume, "IF (not in VMX operation) … THEN #UD"},
    {ExitReason::vmwrite, "IF (not in VMX operation) … THEN #UD"},
    {ExitReason::vmxoff, "IF (not in VMX operation) … THEN #UD"},
    // VMXON is what enters VMX operation; but without CR4.VMXE, which cannot be set here, …
    {ExitReason::vmxon, "IF … (CR4.VMXE = 0) … THEN #UD"},
    {ExitReason::invept, "IF (not in VMX operation) … THEN #UD"},
    {ExitReason::invvpid, "IF (not in VMX operation) … THEN #UD"},
    // With the control "enable VM functions" 0 the processor raises #UD itself.
    // [SDM 3C 25.5.5.2 "General Operation of the VMFUNC Instruction"]
    {ExitReason::vmfunc, "#UD If executed outside VMX non-root operation", false},
});
static_assert(vmx_instructions.size() == 13);

}  // namespace hvp::vmx
