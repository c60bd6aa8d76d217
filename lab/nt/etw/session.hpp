// The session that records all events of all providers, always: each becomes a JSON line.
#pragma once

#include <cstdint>
#include <span>

#include "lab/nt/etw/registrations.hpp"

namespace hvp::lab::etw {

/// [Windows: EVENT_DESCRIPTOR]
struct EventDescriptor {
    std::uint16_t id{};
    std::uint8_t version{};
    std::uint8_t channel{};
    std::uint8_t level{};
    std::uint8_t opcode{};
    std::uint16_t task{};
    std::uint64_t keyword{};
};
static_assert(sizeof(EventDescriptor) == 0x10);

/// A piece of an event.  [Windows: EVENT_DATA_DESCRIPTOR]
struct DataDescriptor {
    const std::byte* address{};
    std::uint32_t bytes{};
    std::uint8_t type{};
    std::uint8_t reserved1{};
    std::uint16_t reserved2{};
};
static_assert(sizeof(DataDescriptor) == 0x10);

/// What the session asks for: everything.  [Windows: EnableTraceEx2] The callback of a provider
/// gets these.
inline constexpr std::uint8_t session_level = 0xFF;
inline constexpr std::uint64_t session_any_keyword = ~std::uint64_t{0};
inline constexpr std::uint64_t session_all_keywords = 0;

/// Records one event. An event that a reader could not decode is a finding.
///
/// Where    any IRQL
void record(const Registration& registration, const EventDescriptor& event,
            std::span<const DataDescriptor> pieces, std::uint64_t caller);

}  // namespace hvp::lab::etw
