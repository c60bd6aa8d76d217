// What the guests of the storm, their VMMs and the driver share; see event_storm.cpp.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "hypervisor/arch/descriptor_tables.hpp"
#include "tests/drivers/local_apic.hpp"
#include "tests/drivers/shared_values.hpp"

namespace hvp::event_storm {

inline constexpr std::size_t most_processors = 8;

/// What is sent. Low and high interrupts lie below and above those of Windows' clock and IPIs.
enum class Kind : std::uint8_t { low, middle, high, nmi };
inline constexpr std::size_t kinds = 4;
inline constexpr std::array<const char*, kinds> kind_names{"low", "middle", "high", "NMI"};

/// Each sender has a vector of its own of each kind, so equal vectors of two senders cannot become
/// one.
[[nodiscard]] constexpr std::uint8_t vector_of(Kind kind, std::size_t sender) {
    constexpr std::array<std::uint8_t, 3> first{0x40, 0x80, 0xF0};
    return static_cast<std::uint8_t>(first[static_cast<std::size_t>(kind)] + sender);
}
[[nodiscard]] constexpr bool is_of_storm(std::uint8_t vector) {
    return vector % 16 < most_processors &&
           (vector / 16 == 0x4 || vector / 16 == 0x8 || vector / 16 == 0xF);
}
/// Windows' vector of the clock.
inline constexpr std::uint8_t clock_vector = 0xD1;

/// One sender, one receiver, one kind: the next one is sent when the one before has been received.
struct Line {
    std::uint64_t sent{};      ///< the sender writes it
    std::uint64_t received{};  ///< the receiver's handler
    std::uint64_t doubled{};   ///< received, and nobody had sent it
    std::uint64_t sent_at{};   ///< the sender's turn
};

/// What the VMM of a processor has seen, exit by exit.
struct Tally {
    std::uint64_t in_guest{};  ///< interrupts that came while the guest executed
    std::uint64_t in_vmm{};    ///< and in the VMM: they exit before the guest executes anything
    std::uint64_t waited{};    ///< the guest could not take it: it got a window
    std::uint64_t clocks{};
    std::uint64_t spurious{};  ///< not among the above
    std::uint64_t injected{};
    std::uint64_t left{};  ///< at the guest's end
    std::uint64_t nmis_in_guest{};
    std::uint64_t nmis_in_vmm{};
    std::uint64_t kept_awake{};  ///< HLTs that something was waiting for already
    std::uint64_t asleep{};      ///< exits that have saved the HLT state
    std::uint64_t entry_rip{};
    std::uint64_t entry_registers{};
};

/// A processor, its guest and its VMM.
struct Processor {
    /// First, so that the guest's handlers find all of this by SIDT.
    alignas(16) std::array<arch::InterruptGate, 256> idt{};
    std::uint64_t clocks{};       ///< that the guest has received
    std::uint64_t woken{};        ///< HLTs that a handler has ended
    std::uint64_t nmis_nested{};  ///< inside the handler of another one
    std::uint64_t nmi_handlers{};
    std::uint64_t strays{};  ///< NMIs that nobody had sent
    std::uint32_t number{};
    std::uint32_t apic_id{};
    std::uint64_t seed{};
    std::uint64_t quota{};  ///< how many to send
    bool sleeping{};
    Tally tally{};
};
inline constexpr std::size_t offset_of_clocks = 4096;
static_assert(offsetof(Processor, clocks) == offset_of_clocks);

/// Everything that they share.
struct Storm {
    std::array<Processor, most_processors> processors{};
    /// By sender, receiver, kind.
    std::array<std::array<std::array<Line, kinds>, most_processors>, most_processors> lines{};
    /// Whose NMI is on its way to each processor: its number + 1. An NMI does not say who sent it.
    std::array<std::uint32_t, most_processors> nmi_senders{};
    std::uint32_t count{};  ///< of processors
    std::uint32_t bound{};  ///< threads that have arrived on theirs
    std::uint32_t ready{};
    std::uint32_t done{};  ///< have sent all, and all has been received
    std::uint8_t spurious_vector{};
    bool failed{};  ///< something did not come: it is over
    tests::LocalApic apic{};

    [[nodiscard]] Line& line(std::size_t sender, std::size_t receiver, Kind kind) {
        return lines[sender][receiver][static_cast<std::size_t>(kind)];
    }
};

extern constinit Storm shared;

using tests::add;
using tests::read;
using tests::set;

/// The guest. Ends by the VMM's `stop`.
[[noreturn]] void guest_main(void* processor);

}  // namespace hvp::event_storm
