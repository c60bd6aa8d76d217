// An event as it arrives: what Windows makes of its pieces.
#pragma once

#include <span>
#include <vector>

#include "hypervisor/trace/tracelogging.hpp"

namespace hvp::trace {

struct Written {
    std::vector<std::uint8_t> metadata;
    std::vector<std::uint8_t> data;
};

/// The pieces put together by their types.
inline Written written(const EventLayout& event, std::span<const std::uint64_t> slots) {
    std::vector<DataDescriptor> descriptors(slots.size() + 2);
    describe(provider_metadata<"Lab">, event, slots, descriptors);
    Written all;
    for (const DataDescriptor& descriptor : descriptors) {
        const auto* const start = reinterpret_cast<const std::uint8_t*>(descriptor.address);
        if (descriptor.type == PieceType::event_metadata) {
            all.metadata.insert(all.metadata.end(), start, start + descriptor.bytes);
        } else if (descriptor.type == PieceType::data) {
            all.data.insert(all.data.end(), start, start + descriptor.bytes);
        }
    }
    return all;
}

}  // namespace hvp::trace
