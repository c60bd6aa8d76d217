// A file of its own, of which a stage without page tables of its own has no byte.
#include "hypervisor/arch/instructions.hpp"
#include "hypervisor/vmx/capabilities.hpp"

namespace hvp::vmx {

std::expected<void, Failure> check_paging_levels() {
    if (arch::read_cr4().has(arch::Cr4::linear_addresses_57_bits)) {
        static constexpr Explanation why{
            .step = "CR4.LA57",
            .rule = {"3A", "4.5", "4-Level Paging and 5-Level Paging"},
            .remedy =
                "the system uses 5-level paging, and the VMM's page tables have four levels: "
                "bcdedit /set linearaddress57 optout, and start it anew",
        };
        return std::unexpected{not_supported(why)};
    }
    return {};
}

}  // namespace hvp::vmx
