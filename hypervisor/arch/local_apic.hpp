// The local APIC of this processor, for a VMM that hands interrupts over to its host system.
#pragma once

#include <cstddef>
#include <cstdint>

#include "hypervisor/arch/flags.hpp"
#include "hypervisor/arch/instructions.hpp"

namespace hvp::arch {

/// Its registers: in memory, at the same address for each processor, or as MSRs in x2APIC mode.
/// [SDM 3A 10.4.1 "The Local APIC Block Diagram"],
/// [SDM 3A 10.12.1 "Detecting and Enabling x2APIC Mode"]
class LocalApic {
public:
    /// Without a mapping of the registers it is the MSRs.
    constexpr LocalApic() = default;
    constexpr explicit LocalApic(volatile std::uint32_t* registers) : registers_{registers} {}

    [[nodiscard]] static bool is_x2apic() {
        constexpr std::uint64_t x2apic = 1U << 10;
        return (rdmsr(Msr::apic_base) & x2apic) != 0;
    }
    /// Where the registers are, if they are in memory.
    [[nodiscard]] static HostPhysicalAddress base() {
        constexpr std::uint64_t address = 0xF'FFFF'FFFF'F000;
        return HostPhysicalAddress{rdmsr(Msr::apic_base) & address};
    }

    /// Whether it can be used: in x2APIC mode, or mapped.
    [[nodiscard]] bool is_usable() const { return registers_ != nullptr || is_x2apic(); }

    /// [SDM 3A 10.8.5 "Signaling Interrupt Servicing Completion"]
    void end_of_interrupt() const { write(end_of_interrupt_register, 0); }

    /// An interrupt for this processor itself.  [SDM 3A 10.6.1 "Interrupt Command Register (ICR)"]
    void send_to_self(std::uint8_t vector) const { send(own_id(), vector); }
    /// "Self" is not among the shorthands that an NMI may have, so it is sent to our own number.
    void send_nmi_to_self() const {
        constexpr std::uint32_t nmi = 4U << 8;
        send(own_id(), nmi);
    }

private:
    // As offsets in memory; an MSR's number is 800H and a sixteenth of it.
    // [SDM 3A 10.12.1.2 "x2APIC Register Address Space"]
    static constexpr std::uint32_t id_register = 0x20;
    static constexpr std::uint32_t end_of_interrupt_register = 0xB0;
    static constexpr std::uint32_t command_low = 0x300;
    static constexpr std::uint32_t command_high = 0x310;

    [[nodiscard]] static Msr msr_of(std::uint32_t offset) {
        return static_cast<Msr>(0x800 + (offset >> 4));
    }
    [[nodiscard]] volatile std::uint32_t& at(std::uint32_t offset) const {
        return registers_[offset / sizeof(std::uint32_t)];
    }
    void write(std::uint32_t offset, std::uint32_t value) const {
        if (registers_ == nullptr) {
            wrmsr(msr_of(offset), value);
        } else {
            at(offset) = value;
        }
    }
    [[nodiscard]] std::uint32_t own_id() const {
        constexpr std::uint32_t id_shift = 24;
        return registers_ == nullptr ? static_cast<std::uint32_t>(rdmsr(msr_of(id_register)))
                                     : at(id_register) >> id_shift;
    }
    /// Where    interrupts off: nobody else's command may come between the halves of this one
    void send(std::uint32_t destination, std::uint32_t command) const {
        constexpr std::uint32_t assert_level = 1U << 14;
        if (registers_ == nullptr) {
            wrmsr(msr_of(command_low), std::uint64_t{destination} << 32 | assert_level | command);
            return;
        }
        constexpr std::uint32_t send_pending = 1U << 12;
        while ((at(command_low) & send_pending) != 0) {
            pause();
        }
        // Who has interrupted a command of the host system finds its first half as it was.
        const std::uint32_t before = at(command_high);
        constexpr std::uint32_t id_shift = 24;
        at(command_high) = destination << id_shift;
        at(command_low) = assert_level | command;
        while ((at(command_low) & send_pending) != 0) {
            pause();
        }
        at(command_high) = before;
    }

    volatile std::uint32_t* registers_{};
};

}  // namespace hvp::arch
