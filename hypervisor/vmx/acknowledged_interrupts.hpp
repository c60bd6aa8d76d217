// External interrupts that the processor has acknowledged for the VMM, and that the guest has yet
// to get.
//
// Acknowledged means: for the local APIC the interrupt is in service. It will not tell of it again,
// so who forgets a vector here has lost an interrupt, and more than one: until somebody writes EOI,
// nothing of the same or a lower priority class comes through. Who writes it is the guest's
// handler, so the vector must reach the guest. [SDM 3A 10.8.4 "Interrupt Acceptance for Fixed
// Interrupts"], [SDM 3A 10.8.5 "Signaling Interrupt Servicing Completion"]
//
// (Without an in-service bit comes only the spurious interrupt. Two of them may become one here: it
// announces nothing. [SDM 3A 10.9 "Spurious Interrupt"])
//
// The same rule bounds what can wait. While a vector waits, only one of a higher class is
// acknowledged: at most one of each class waits, and the one that came last is the most urgent. It
// has to be delivered first, too, as EOI ends the service of the most urgent one, whoever writes
// it.
#pragma once

#include <array>
#include <bit>
#include <cstdint>

namespace hvp::vmx {

/// A set of vectors: the same one cannot wait twice.
class AcknowledgedInterrupts {
public:
    constexpr void add(std::uint8_t vector) { word(vector) |= bit(vector); }
    constexpr void remove(std::uint8_t vector) { word(vector) &= ~bit(vector); }

    [[nodiscard]] constexpr std::uint32_t count() const {
        std::uint32_t sum = 0;
        for (const std::uint64_t part : words_) {
            sum += static_cast<std::uint32_t>(std::popcount(part));
        }
        return sum;
    }

    /// The vector with the highest priority, which is its number; 0 where none waits.
    /// [SDM 3A 10.8.3 "Interrupt, Task, and Processor Priority"]
    [[nodiscard]] constexpr std::uint8_t most_urgent() const {
        for (std::size_t i = words_.size(); i-- > 0;) {
            if (words_[i] != 0) {
                return static_cast<std::uint8_t>(i * 64 + std::bit_width(words_[i]) - 1);
            }
        }
        return 0;
    }

private:
    static constexpr std::uint64_t bit(std::uint8_t vector) { return 1ULL << vector % 64; }
    constexpr std::uint64_t& word(std::uint8_t vector) { return words_[vector / 64]; }

    std::array<std::uint64_t, 4> words_{};
};

}  // namespace hvp::vmx
