// The bitmap of page frames, and the two ways to search it.
#include "lab/nt/mm/frame_map.hpp"

#include <algorithm>

namespace hvp::lab::mm {

bool FrameMap::is_taken(std::uint64_t frame) const {
    return (taken_bits_[frame / 64] >> frame % 64 & 1) != 0;
}

void FrameMap::set_taken(std::uint64_t frame, bool taken) {
    const std::uint64_t bit = 1ULL << frame % 64;
    if (taken) {
        taken_bits_[frame / 64] |= bit;
    } else {
        taken_bits_[frame / 64] &= ~bit;
    }
}

std::uint64_t FrameMap::wrapped(std::uint64_t frame) const {
    return frame < end_frame_ ? frame : first_frame_ + (frame - end_frame_) % 2;
}

std::optional<std::uint64_t> FrameMap::last_taken_in(std::uint64_t first,
                                                     std::uint64_t count) const {
    for (std::uint64_t frame = first + count; frame-- != first;) {
        if (is_taken(frame)) {
            return frame;
        }
    }
    return std::nullopt;
}

void FrameMap::initialise(std::uint64_t memory_bytes, PhysicalAddress reserved_end,
                          std::uint64_t seed) {
    first_frame_ = pages_for(reserved_end.raw());
    end_frame_ = std::min(memory_bytes, usable_memory_end) / page_bytes;
    // The upper half is left to contiguous memory at first, which is allocated from the top.
    const std::uint64_t span = (end_frame_ - first_frame_) / 2;
    next_frame_ = first_frame_ + seed * 0x9E37'79B9'7F4A'7C15 % span;
}

std::optional<PhysicalAddress> FrameMap::take() {
    std::uint64_t frame = wrapped(next_frame_);
    for (std::uint64_t tried = 0; tried < end_frame_ - first_frame_; ++tried) {
        if (!is_taken(frame)) {
            set_taken(frame, true);
            next_frame_ = frame + 2;
            return PhysicalAddress{frame * page_bytes};
        }
        frame = frame + 1 < end_frame_ ? frame + 1 : first_frame_;
    }
    return std::nullopt;
}

std::optional<PhysicalAddress> FrameMap::take_run(const RunRequest& request) {
    const bool is_low = request.highest.raw() < high_memory_start;
    const std::uint64_t first = is_low ? low_memory_start / page_bytes : first_frame_;
    const std::uint64_t memory_end = is_low ? low_memory_end : end_frame_ * page_bytes;
    const std::uint64_t lowest = std::max(first, pages_for(request.lowest.raw()));
    const std::uint64_t last_byte = std::min(request.highest.raw(), memory_end - 1);
    std::uint64_t end = (last_byte + 1) / page_bytes;
    while (end >= lowest && end - lowest >= request.frames) {
        const std::uint64_t start = end - request.frames;
        if (request.boundary != 0) {
            const std::uint64_t last_start = (end * page_bytes - 1) & ~(request.boundary - 1);
            if (last_start > start * page_bytes) {
                end = last_start / page_bytes;
                if (request.frames * page_bytes > request.boundary) {
                    return std::nullopt;
                }
                continue;
            }
        }
        const auto obstacle = last_taken_in(start, request.frames);
        if (!obstacle) {
            for (std::uint64_t frame = start; frame < end; ++frame) {
                set_taken(frame, true);
            }
            return PhysicalAddress{start * page_bytes};
        }
        end = *obstacle;
    }
    return std::nullopt;
}

void FrameMap::release(PhysicalAddress first, std::uint64_t count) {
    for (std::uint64_t i = 0; i < count; ++i) {
        set_taken(first.raw() / page_bytes + i, false);
    }
}

}  // namespace hvp::lab::mm
