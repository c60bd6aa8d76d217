// "Explain this guest-physical address": the processor's walk, done by software, with each entry on
// the way.
#pragma once

#include <array>
#include <cstdint>

#include "hypervisor/ept/entry.hpp"
#include "hypervisor/ept/misconfiguration.hpp"

namespace hvp::ept {

/// How a walk ended.
enum class WalkEnd : std::uint8_t {
    page,              ///< at an entry that maps a page
    not_present,       ///< at an entry that allows nothing: any access is an EPT violation
    misconfigured,     ///< at an entry that the processor refuses: an EPT misconfiguration
    foreign_table,     ///< at an entry that references a page outside our tables
    address_too_wide,  ///< a guest cannot have it: EPT translates 48 bits
};

/// One step of a walk.
struct WalkStep {
    Level level{};
    std::uint32_t index{};  ///< of the entry in its table
    arch::HostPhysicalAddress table{0};
    Entry entry;
};

/// The result of a walk.
struct Walk {
    WalkEnd end{};
    std::array<WalkStep, 4> steps{};
    std::uint32_t step_count{};
    Misconfiguration rule{};                ///< where it ended as misconfigured
    Rights rights{};                        ///< what all entries on the way allow together
    MemoryType type{};                      ///< of the page
    arch::HostPhysicalAddress physical{0};  ///< where the address leads, to the byte

    /// The last step, which decided.
    ///
    /// Needs    an address that is not too wide
    [[nodiscard]] const WalkStep& last() const { return steps[step_count - 1]; }
};

/// How many pages of each size an EPT maps.
struct PageCounts {
    std::array<std::uint64_t, 3> of_level{};  ///< 4 KBytes, 2 MBytes, 1 GByte

    [[nodiscard]] std::uint64_t of(Level level) const {
        return of_level[static_cast<std::size_t>(level) - 1];
    }
};

}  // namespace hvp::ept
