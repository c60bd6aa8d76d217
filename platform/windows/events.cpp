#include "platform/windows/events.hpp"

#include "hypervisor/vmx/instruction_error.hpp"

namespace hvp::windows {

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
