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

    /// Whether an interrupt of this vector waits for its EOI. A spurious one does not.
    /// [SDM 3A 10.8.4 "Interrupt Acceptance for Fixed Interrupts"],
    /// [SDM 3A 10.9 "Spurious Interrupt"]
    [[nodiscard]] bool is_in_service(std::uint8_t vector) const {
        return (in_service(vector / 32U) >> vector % 32U & 1U) != 0;
    }
    /// 32 bits of those that say so.
    [[nodiscard]] std::uint32_t in_service(std::uint32_t number) const {
        return read(in_service_register + 0x10 * number);
    }
    /// What comes in place of an interrupt that went while the processor asked for it.
    [[nodiscard]] std::uint8_t spurious_vector() const {
        return static_cast<std::uint8_t>(read(spurious_register));
    }

    /// An interrupt for this processor itself.  [SDM 3A 10.6.1 "Interrupt Command Register (ICR)"]
    void send_to_self(std::uint8_t vector) const { send(own_id(), vector); }
    /// "Self" is not among the shorthands that an NMI may have, so it is sent to our own number.
    void send_nmi_to_self() const { send(own_id(), nmi); }

    static constexpr std::uint32_t nmi = 4U << 8;
    /// A vector, or `nmi`, for the processor with this number.
    ///
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

private:
    // As offsets in memory; an MSR's number is 800H and a sixteenth of it.
    // [SDM 3A 10.12.1.2 "x2APIC Register Address Space"]
    static constexpr std::uint32_t id_register = 0x20;
    static constexpr std::uint32_t end_of_interrupt_register = 0xB0;
    static constexpr std::uint32_t spurious_register = 0xF0;
    static constexpr std::uint32_t in_service_register = 0x100;
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
    [[nodiscard]] std::uint32_t read(std::uint32_t offset) const {
        return registers_ == nullptr ? static_cast<std::uint32_t>(rdmsr(msr_of(offset)))
                                     : at(offset);
    }
    [[nodiscard]] std::uint32_t own_id() const {
        constexpr std::uint32_t id_shift = 24;
        return registers_ == nullptr ? read(id_register) : read(id_register) >> id_shift;
    }

    volatile std::uint32_t* registers_{};
};

}  // namespace hvp::arch
