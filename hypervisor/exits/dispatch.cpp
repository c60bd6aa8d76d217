// Where entry.S arrives in C++, through the VmmFrame.
#include "hypervisor/exits/dispatch.hpp"

namespace hvp::vmx {

bool handle_vm_exit(VmmFrame* frame) {
    return dispatch_exit(ExitVmcs{}, *frame);
}

bool handle_vm_exit_of_step(VmmFrame* frame) {
    return dispatch_exit<ExitVmcs, handle_in_step<ExitVmcs>>(ExitVmcs{}, *frame);
}

void handle_failed_entry(VmmFrame* frame) {
    // With VMfailValid there is a VM-instruction error; VMfailInvalid means that no VMCS is
    // current.  [SDM 3C 30.2 "Conventions"]
    GuestStop& guest_stop = frame->owner->guest_stop;
    std::uint64_t number{};
    guest_stop.why = StopReason::entry_refused;
    guest_stop.result = arch::vmread(vm_instruction_error.encoding, number);
    if (guest_stop.result == arch::VmxResult::succeed) {
        guest_stop.result = arch::VmxResult::fail_valid;
        guest_stop.error_number = static_cast<std::uint32_t>(number);
    }
}

}  // namespace hvp::vmx
