// The stage `ept` on a processor that has no execute-only pages. Every emulated processor with EPT
// has them, so this stands between the stage and the capability MSR; CMakeLists.txt says how.
#include "hypervisor/vcpu/setup/ept_setup.hpp"

namespace hvp::vmx {

std::expected<ept::Limits, Failure> check_ept_support_of_a_poorer_processor() {
    auto limits = check_ept_support();
    if (limits) {
        limits->capability.execute_only = 0;
    }
    return limits;
}

}  // namespace hvp::vmx
