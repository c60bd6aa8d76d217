#include "platform/windows/events.hpp"

#include "hypervisor/arch/instructions.hpp"
#include "hypervisor/arch/segments.hpp"
#include "hypervisor/vmx/instruction_error.hpp"

namespace hvp::windows {

bool runs_in_a_kernel() {
    // The RPL of CS is the CPL.  [SDM 3A 5.5 "Privilege Levels"]
    if (arch::selector_from(arch::read_cs()).requested_privilege_level == 0) {
        return true;
    }
    static constexpr vmx::Explanation why{
        .step = "privilege level",
        .rule = {"3C", "30.3", "VMX Instructions"},
        .remedy = "VMX instructions need CPL 0: load this as a driver of real Windows",
    };
    static constexpr vmx::Failure failure{.kind = vmx::FailureKind::not_supported, .why = &why};
    print_failure(failure);
    return false;
}

void print_failure(const vmx::Failure& failure) {
    if (failure.result != arch::VmxResult::succeed) {
        const bool has_number = failure.result == arch::VmxResult::fail_valid;
        print_event(
            "VmxInstructionFailed instruction=\"%s\" result=%s error_number=%u error=\"%s\"\n",
            failure.why->step, has_number ? "VMfailValid" : "VMfailInvalid", failure.error_number,
            has_number ? vmx::instruction_error_name(failure.error_number) : "");
    }
    const vmx::Explanation& why = *failure.why;
    print_event("Failure step=\"%s\" number=0x%x rule=\"SDM %s %s %s\" remedy=\"%s\"\n", why.step,
                failure.number, why.rule.volume, why.rule.section, why.rule.title, why.remedy);
}

}  // namespace hvp::windows
