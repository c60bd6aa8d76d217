// The local APIC, for drivers that send interrupts themselves.
#pragma once

#include <cstddef>
#include <cstdint>

#include "hypervisor/arch/instructions.hpp"
#include "hypervisor/arch/local_apic.hpp"
#include "hypervisor/arch/processor_state.hpp"
#include "platform/windows/nt.hpp"

namespace hvp::tests {

/// The registers of the local APIC, where they are in memory. Each processor finds its own ones at
/// the same address.  [SDM 3A 10.4.1 "The Local APIC Block Diagram"]
class LocalApic {
public:
    /// Returns  whether they are there: in x2APIC mode they are MSRs
    /// Source   [SDM 3A 10.12.1 "Detecting and Enabling x2APIC Mode"], [Windows: MmMapIoSpace]
    [[nodiscard]] bool map() {
        if (arch::LocalApic::is_x2apic()) {
            return false;
        }
        registers_ =
            MmMapIoSpace({.QuadPart = static_cast<LONGLONG>(arch::LocalApic::base().raw())},
                         PAGE_SIZE, MmNonCached);
        apic_ = arch::LocalApic{static_cast<volatile std::uint32_t*>(registers_)};
        return registers_ != nullptr;
    }
    void unmap() const { MmUnmapIoSpace(registers_, PAGE_SIZE); }

    /// The number by which others address this processor.
    [[nodiscard]] static std::uint32_t id() {
        constexpr std::uint32_t features = 1;
        constexpr std::uint32_t id_shift = 24;
        return arch::cpuid(features).ebx >> id_shift;
    }

    void send_interrupt(std::uint32_t apic_id, std::uint8_t vector) const { send(apic_id, vector); }
    void send_nmi(std::uint32_t apic_id) const { send(apic_id, arch::LocalApic::nmi); }

    [[nodiscard]] const arch::LocalApic& registers() const { return apic_; }

private:
    void send(std::uint32_t apic_id, std::uint32_t command) const {
        const arch::InterruptsOff interrupts_off;
        apic_.send(apic_id, command);
    }

    void* registers_{};
    arch::LocalApic apic_;
};

}  // namespace hvp::tests
