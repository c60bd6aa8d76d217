#include "hypervisor/exits/dispatch.hpp"

namespace hvp::vmx {

ExitPath untraced_exits() {
    return exit_path<default_handlers>();
}

ExitPath traced_exits() {
    return exit_path<default_handlers, Traced<false>>();
}

ExitPath traced_exits_with_registers() {
    return exit_path<default_handlers, Traced<true>>();
}

void note_failed_entry(Exit exit) {
    // With VMfailValid there is a VM-instruction error; VMfailInvalid means that no VMCS is
    // current.  [SDM 3C 30.2 "Conventions"]
    GuestStop& guest_stop = exit.processor().guest_stop;
    std::uint64_t number{};
    guest_stop.why = StopReason::entry_refused;
    guest_stop.refused_by = exit.frame.refused_by;
    guest_stop.result = arch::vmread(vm_instruction_error.encoding, number);
    if (guest_stop.result == arch::VmxResult::succeed) {
        guest_stop.result = arch::VmxResult::fail_valid;
        guest_stop.error_number = static_cast<std::uint32_t>(number);
        guest_stop.guest_rip = exit.vmcs.read(guest_rip).raw();
    }
}

}  // namespace hvp::vmx
