// Our own image, for a VMM that runs on page tables of its own.
#pragma once

#include <expected>

#include "hypervisor/arch/address_space.hpp"
#include "platform/windows/nt.hpp"

namespace hvp::windows {

class DriverImage {
public:
    /// Source   [Windows: DRIVER_OBJECT]
    explicit DriverImage(const DRIVER_OBJECT& driver) : base_{driver.DriverStart} {}

    /// Maps the image where Windows has it, but for discardable sections, which Windows frees after
    /// DriverEntry; each page with the rights of its section: code is read-only there, and data
    /// cannot be executed.
    ///
    /// Where    IRQL <= DISPATCH_LEVEL. The image must not be pageable: ours has no PAGE sections.
    /// Source   [Windows: MmGetPhysicalAddress]
    [[nodiscard]] std::expected<void, arch::MapError> map(arch::AddressSpace& space) const;

private:
    void* base_;
};

}  // namespace hvp::windows
