// Instructions of the VMM that the processor may refuse: where it goes on after the #GP.
#pragma once

#include <cstdint>

#include "hypervisor/vcpu/host_traps.hpp"

namespace hvp::vmx {

/// A row of the table in arch/fix_up.S.
struct FixUp {
    std::uint64_t instruction;
    std::uint64_t landing;  ///< where the VMM goes on if the instruction has raised #GP
};

/// Sends a trap to the landing of its instruction, if the table has one.
///
/// Returns  false: this exception is a mistake of ours; nothing has changed
/// Where    the handler of the VMM's own exceptions
[[nodiscard]] bool fix_up(HostTrap& trap);

}  // namespace hvp::vmx
