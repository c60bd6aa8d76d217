// The bitmap of page frames, and the two ways to search it.
#include "lab/nt/mm/frames.hpp"

#include <algorithm>
#include <array>

#include "lab/nt/mm/memory_lock.hpp"

namespace hvp::lab::mm {
namespace {

constinit std::array<std::uint64_t, usable_memory_end / page_bytes / 64> taken_bits{};
constinit std::uint64_t first_frame{};
constinit std::uint64_t end_frame{};
constinit std::uint64_t next_frame{};

bool is_taken(std::uint64_t frame) {
    return (taken_bits[frame / 64] >> frame % 64 & 1) != 0;
}

void set_taken(std::uint64_t frame, bool taken) {
    const std::uint64_t bit = 1ULL << frame % 64;
    if (taken) {
        taken_bits[frame / 64] |= bit;
    } else {
        taken_bits[frame / 64] &= ~bit;
    }
}

std::uint64_t wrapped(std::uint64_t frame) {
    return frame < end_frame ? frame : first_frame + (frame - end_frame) % 2;
}

/// Highest taken frame in [first, first + count), or nothing if all are free.
std::optional<std::uint64_t> last_taken_in(std::uint64_t first, std::uint64_t count) {
    for (std::uint64_t frame = first + count; frame-- != first;) {
        if (is_taken(frame)) {
            return frame;
        }
    }
    return std::nullopt;
}

}  // namespace

void initialise_frames(std::uint64_t memory_bytes, PhysicalAddress reserved_end,
                       std::uint64_t seed) {
    first_frame = pages_for(reserved_end.raw());
    end_frame = std::min(memory_bytes, usable_memory_end) / page_bytes;
    // The upper half is left to contiguous memory at first, which is taken from the top.
    const std::uint64_t span = (end_frame - first_frame) / 2;
    next_frame = first_frame + seed * 0x9E37'79B9'7F4A'7C15 % span;
}

std::optional<PhysicalAddress> take_frame() {
    const ke::Locked locked{memory_lock};
    std::uint64_t frame = wrapped(next_frame);
    for (std::uint64_t tried = 0; tried < end_frame - first_frame; ++tried) {
        if (!is_taken(frame)) {
            set_taken(frame, true);
            next_frame = frame + 2;
            return PhysicalAddress{frame * page_bytes};
        }
        frame = frame + 1 < end_frame ? frame + 1 : first_frame;
    }
    return std::nullopt;
}

std::optional<PhysicalAddress> take_frame_run(const RunRequest& request) {
    const ke::Locked locked{memory_lock};
    const std::uint64_t lowest = std::max(first_frame, pages_for(request.lowest.raw()));
    const std::uint64_t last_byte = std::min(request.highest.raw(), end_frame * page_bytes - 1);
    std::uint64_t end = (last_byte + 1) / page_bytes;
    while (end >= lowest && end - lowest >= request.frames) {
        const std::uint64_t first = end - request.frames;
        if (request.boundary != 0) {
            const std::uint64_t last_start = (end * page_bytes - 1) & ~(request.boundary - 1);
            if (last_start > first * page_bytes) {
                end = last_start / page_bytes;
                if (request.frames * page_bytes > request.boundary) {
                    return std::nullopt;
                }
                continue;
            }
        }
        const auto obstacle = last_taken_in(first, request.frames);
        if (!obstacle) {
            for (std::uint64_t frame = first; frame < end; ++frame) {
                set_taken(frame, true);
            }
            return PhysicalAddress{first * page_bytes};
        }
        end = *obstacle;
    }
    return std::nullopt;
}

PhysicalAddress end_of_memory() {
    return PhysicalAddress{end_frame * page_bytes};
}

bool is_free_frame(PhysicalAddress address) {
    const ke::Locked locked{memory_lock};
    const std::uint64_t frame = address.raw() / page_bytes;
    return frame >= first_frame && frame < end_frame && !is_taken(frame);
}

void give_back_frames(PhysicalAddress first, std::uint64_t count) {
    const ke::Locked locked{memory_lock};
    for (std::uint64_t i = 0; i < count; ++i) {
        set_taken(first.raw() / page_bytes + i, false);
    }
}

}  // namespace hvp::lab::mm
