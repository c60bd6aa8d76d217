// Our own image, for a VMM that runs on page tables of its own.
#pragma once

#include <expected>

#include "hypervisor/arch/address_space.hpp"
#include "platform/windows/nt.hpp"

namespace hvp::windows {

/// Maps every page of the driver's image where Windows has it, with the rights of its section: code
/// is read-only there, and data cannot be executed.
///
/// Where    IRQL <= DISPATCH_LEVEL. The image must not be pageable: ours has no PAGE sections.
/// Source   [Windows: DRIVER_OBJECT], [Windows: MmGetPhysicalAddress]
[[nodiscard]] std::expected<void, arch::MapError> map_own_image(arch::AddressSpace& space,
                                                                const DRIVER_OBJECT& driver);

}  // namespace hvp::windows
