// A VMX instruction that ended with VMfail, as the processor's log tells of it and as a driver
// does.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "tool/record/event.hpp"

namespace hvp::tool {

struct FailedInstruction {
    std::string instruction;     ///< VMXON, VMCLEAR, VMPTRLD, VMLAUNCH, VMRESUME
    std::uint32_t error_number;  ///< the VM-instruction error; 0: VMfailInvalid, which has none
    std::string words;           ///< the witness's own

    [[nodiscard]] bool is_vm_entry() const;
};

/// Reads Bochs 2.7's line about an instruction that failed.
///
/// Needs    `entry`: VMLAUNCH or VMRESUME, if one had begun at that instruction; else empty.
/// Returns  nothing for a line that is about an exception, or an instruction that is not compared:
///          VMREAD and VMWRITE of a field that the processor lacks fail by the hundred.
[[nodiscard]] std::optional<FailedInstruction> logged_failure(std::string_view text,
                                                              std::string_view entry);

/// Reads a driver's VmxInstructionFailed.
[[nodiscard]] std::optional<FailedInstruction> reported_failure(const Event& event);

/// Whether a driver's report is about this line of the log.
[[nodiscard]] bool reports_failure(const FailedInstruction& reported,
                                   const FailedInstruction& logged);

}  // namespace hvp::tool
