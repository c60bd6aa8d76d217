// The reader of the table in arch/fix_up.S.
#include "hypervisor/vcpu/fix_up.hpp"

#include <algorithm>
#include <span>

#include "hypervisor/vmcs/event_information.hpp"

namespace hvp::vmx {
namespace {

extern "C" const FixUp hvp_fix_ups[];
extern "C" const FixUp hvp_fix_ups_end[];

}  // namespace

bool fix_up(HostTrap& trap) {
    // Any other exception at these instructions is ours: #UD of XSETBV is a CR4 without OSXSAVE.
    if (trap.vector != static_cast<std::uint64_t>(Vector::general_protection)) {
        return false;
    }
    const std::span table{hvp_fix_ups, hvp_fix_ups_end};
    const auto row = std::ranges::find(table, trap.rip, &FixUp::instruction);
    if (row == table.end()) {
        return false;
    }
    trap.rip = row->landing;
    return true;
}

}  // namespace hvp::vmx
