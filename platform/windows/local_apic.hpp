// The registers of the local APIC, mapped.
#pragma once

#include <utility>

#include "hypervisor/arch/local_apic.hpp"
#include "platform/windows/irql.hpp"
#include "platform/windows/nt.hpp"

namespace hvp::windows {

/// Unmapped by the destructor. Windows has a mapping of its own, whose address it does not tell.
class LocalApicMapping {
public:
    /// Source   [Windows: MmMapIoSpace]
    explicit LocalApicMapping(const AtPassiveLevel&) {
        if (!arch::LocalApic::is_x2apic()) {
            registers_ =
                MmMapIoSpace({.QuadPart = static_cast<LONGLONG>(arch::LocalApic::base().raw())},
                             PAGE_SIZE, MmNonCached);
        }
    }
    LocalApicMapping(LocalApicMapping&& other) noexcept
        : registers_{std::exchange(other.registers_, nullptr)} {}
    LocalApicMapping& operator=(LocalApicMapping&&) = delete;
    ~LocalApicMapping() {
        if (registers_ != nullptr) {
            MmUnmapIoSpace(registers_, PAGE_SIZE);
        }
    }

    /// Where    any processor: each finds its own registers at this address
    [[nodiscard]] arch::LocalApic apic() const {
        return arch::LocalApic{static_cast<volatile std::uint32_t*>(registers_)};
    }

private:
    void* registers_{};
};

}  // namespace hvp::windows
