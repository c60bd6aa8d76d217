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
    print_event(
        "Failure step=\"privilege level\" number=0x0 rule=\"SDM 3C 30.3 VMX Instructions\" "
        "remedy=\"VMX instructions need CPL 0: load this as a driver of real Windows\"\n");
    return false;
}

}  // namespace hvp::windows
