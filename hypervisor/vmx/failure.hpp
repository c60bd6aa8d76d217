// A failure is a value: which step, which rule of the SDM, what to do about it.
#pragma once

#include <cstdint>

#include "hypervisor/arch/instructions.hpp"
#include "hypervisor/vmcs/citation.hpp"

namespace hvp::vmx {

/// The kind of failure; the platform turns it into its own status codes.
enum class FailureKind : std::uint8_t {
    not_supported,  ///< this processor, or its firmware, does not offer VT-x, or it is in use
    out_of_memory,
    instruction_failed,  ///< a VMX instruction returned VMfail
    entry_failed,        ///< VM entry failed because of the guest state
    unexpected,          ///< the guest did something that this VMM does not handle
};

/// What a failure means, as text that lives as long as the driver.
struct Explanation {
    const char* step;  ///< what was being done
    Citation rule;     ///< what it broke
    const char* remedy;
};

struct Failure {
    FailureKind kind;
    arch::VmxResult result{arch::VmxResult::succeed};  ///< of the instruction that failed
    std::uint32_t error_number{};  ///< the VM-instruction error, if `result` is fail_valid
    const Explanation* why{};
    std::uint32_t number{};  ///< exit reason, VMCS field or bits: see `why`
};

/// This processor, its firmware or its system lacks what is needed.
[[nodiscard]] constexpr Failure not_supported(const Explanation& why) {
    return {.kind = FailureKind::not_supported, .why = &why};
}

}  // namespace hvp::vmx
