// What a driver left changed, in words: the bits by name, the same change of several processors as
// one.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tool/record/timeline.hpp"

namespace hvp::tool {

/// The events of one change, an event for each processor that has it; the first one first.
struct StateChange {
    std::vector<const Event*> events;

    /// Returns  "processor 3" or "processors 0 to 3"
    [[nodiscard]] std::string processors() const;
    /// Returns  "CR4 was 0x370678, is 0x372678: VMXE is 1 now"
    [[nodiscard]] std::string change() const;
};

/// Returns  the changes that the lab reports under this name, StateDifference or ExpectedChange
[[nodiscard]] std::vector<StateChange> state_changes(const Timeline& timeline,
                                                     std::string_view name);

/// Returns  the changed bits of a control register or RFLAGS by name, "VMXE is 1 now, PCIDE is 0
///          now"; empty for another register
[[nodiscard]] std::string changed_bits(std::string_view item, std::uint64_t before,
                                       std::uint64_t after);

/// Returns  what to do about the change, where we know a usual cause
[[nodiscard]] std::string state_advice(std::string_view item, std::uint64_t after);

}  // namespace hvp::tool
