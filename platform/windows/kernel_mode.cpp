#include "platform/windows/kernel_mode.hpp"

#include "hypervisor/arch/instructions.hpp"
#include "hypervisor/arch/segments.hpp"
#include "platform/windows/nt.hpp"

namespace hvp::windows {

bool runs_in_a_kernel() {
    // The RPL of CS is the CPL.  [SDM 3A 5.5 "Privilege Levels"]
    if (arch::selector_from(arch::read_cs()).requested_privilege_level == 0) {
        return true;
    }
    // Printed, not traced: where there is no kernel there is no event tracing.
    DbgPrintEx(DPFLTR_IHVDRIVER_ID, DPFLTR_ERROR_LEVEL,
               "Failure step=\"privilege level\" number=0x0 rule=\"SDM 3C 30.3 VMX Instructions\" "
               "remedy=\"VMX instructions need CPL 0: load this as a driver of real Windows\"\n");
    return false;
}

}  // namespace hvp::windows
