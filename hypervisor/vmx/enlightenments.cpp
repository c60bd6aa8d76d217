// A file of its own, of which a stage that does not ask has no byte.
#include "hypervisor/arch/cpuid.hpp"
#include "hypervisor/arch/instructions.hpp"
#include "hypervisor/vmx/capabilities.hpp"

namespace hvp::vmx {

std::expected<void, Failure> check_no_enlightenments() {
    constexpr std::uint32_t interface_leaf = 0x4000'0001;
    constexpr std::uint32_t microsofts = 'H' | 'v' << 8 | '#' << 16 | '1' << 24;
    if ((arch::cpuid(1).ecx & arch::cpuid_1_ecx_hypervisor) == 0 ||
        arch::cpuid(interface_leaf).eax != microsofts) {
        return {};
    }
    static constexpr Explanation why{
        .step = "CPUID.40000001H",
        .rule = {"3C", "25.1.3", "Instructions That Cause VM Exits Conditionally"},
        .remedy =
            "the system runs on Hyper-V and uses its MSRs and hypercalls, which this VMM does not "
            "pass on, to handle interrupts: use a machine without it, or another hypervisor "
            "without Hyper-V's interface below",
    };
    return std::unexpected{not_supported(why)};
}

}  // namespace hvp::vmx
