// Which page frames of RAM are taken: one bit for each.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "lab/nt/mm/layout.hpp"

namespace hvp::lab::mm {

/// The constraints on a run of frames.
struct RunRequest {
    std::uint64_t frames{};
    PhysicalAddress lowest{0};
    PhysicalAddress highest{~0ULL};  ///< last byte allowed
    std::uint64_t boundary{};        ///< no multiple of it inside the run; 0: no constraint
};

/// The bitmap of page frames, and the two ways to search it. It has no lock: see frames.hpp.
/// Frames below 1 MiB are reserved for requests that name an end below 1 MiB.
class FrameMap {
public:
    void initialise(std::uint64_t memory_bytes, PhysicalAddress reserved_end, std::uint64_t seed);
    [[nodiscard]] std::optional<PhysicalAddress> take();
    [[nodiscard]] std::optional<PhysicalAddress> take_run(const RunRequest& request);
    void release(PhysicalAddress first, std::uint64_t count);

    [[nodiscard]] PhysicalAddress end() const { return PhysicalAddress{end_frame_ * page_bytes}; }
    [[nodiscard]] bool is_free(PhysicalAddress address) const {
        const std::uint64_t frame = address.raw() / page_bytes;
        const bool is_low = address.raw() >= low_memory_start && address.raw() < low_memory_end;
        return (is_low || (frame >= first_frame_ && frame < end_frame_)) && !is_taken(frame);
    }

private:
    [[nodiscard]] bool is_taken(std::uint64_t frame) const;
    void set_taken(std::uint64_t frame, bool taken);
    [[nodiscard]] std::uint64_t wrapped(std::uint64_t frame) const;

    /// The highest allocated frame in [first, first + count), or nothing if all are free.
    [[nodiscard]] std::optional<std::uint64_t> last_taken_in(std::uint64_t first,
                                                             std::uint64_t count) const;

    std::array<std::uint64_t, usable_memory_end / page_bytes / 64> taken_bits_{};
    std::uint64_t first_frame_{};
    std::uint64_t end_frame_{};
    std::uint64_t next_frame_{};
};

}  // namespace hvp::lab::mm
