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
        registers_ = static_cast<volatile std::uint32_t*>(
            MmMapIoSpace({.QuadPart = static_cast<LONGLONG>(arch::LocalApic::base().raw())},
                         PAGE_SIZE, MmNonCached));
        return registers_ != nullptr;
    }
    void unmap() const { MmUnmapIoSpace(const_cast<std::uint32_t*>(registers_), PAGE_SIZE); }

    /// The number by which others address this processor.
    [[nodiscard]] static std::uint32_t id() {
        constexpr std::uint32_t features = 1;
        constexpr std::uint32_t id_shift = 24;
        return arch::cpuid(features).ebx >> id_shift;
    }

    void send_interrupt(std::uint32_t apic_id, std::uint8_t vector) const { send(apic_id, vector); }
    void send_nmi(std::uint32_t apic_id) const {
        constexpr std::uint32_t nmi = 4U << 8;
        send(apic_id, nmi);
    }

    /// What comes in place of an interrupt that went while the processor asked for it.
    /// [SDM 3A 10.9 "Spurious Interrupt"]
    [[nodiscard]] std::uint8_t spurious_vector() const {
        return static_cast<std::uint8_t>(registers_[0xF0 / 4]);
    }

    /// 32 bits of those that say which interrupts are in service.
    [[nodiscard]] std::uint32_t in_service(std::size_t number) const {
        constexpr std::size_t first = 0x100 / 4;
        return registers_[first + 4 * number];
    }

    /// [SDM 3A 10.8.5 "Signaling Interrupt Servicing Completion"]
    [[gnu::always_inline]] void end_of_interrupt() const { registers_[0xB0 / 4] = 0; }

private:
    /// Nobody else's command may come between the halves of this one.
    /// [SDM 3A 10.6.1 "Interrupt Command Register (ICR)", Figure 10-12]
    void send(std::uint32_t apic_id, std::uint32_t command) const {
        const arch::InterruptsOff interrupts_off;
        constexpr std::size_t command_low = 0x300 / 4;
        constexpr std::size_t command_high = 0x310 / 4;
        constexpr std::uint32_t send_pending = 1U << 12;
        constexpr std::uint32_t assert_level = 1U << 14;
        while ((registers_[command_low] & send_pending) != 0) {
            arch::pause();
        }
        registers_[command_high] = apic_id << 24;
        registers_[command_low] = assert_level | command;
    }

    volatile std::uint32_t* registers_{};
};

}  // namespace hvp::tests
