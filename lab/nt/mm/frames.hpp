// Allocates the page frames of RAM.
#pragma once

#include <cstdint>
#include <optional>

#include "lab/nt/mm/frame_map.hpp"

namespace hvp::lab::mm {

/// Takes over the RAM.
///
/// Needs    `reserved_end`: physical, all below is in use already; `seed` chooses where the search
///          for single frames begins
void initialise_frames(std::uint64_t memory_bytes, PhysicalAddress reserved_end,
                       std::uint64_t seed);

/// One frame, with the content that its last owner left. Two successive frames are not adjacent, so
/// that a driver that assumes physically contiguous pool is detected.
[[nodiscard]] std::optional<PhysicalAddress> take_frame();

/// Contiguous frames, as high in RAM as the request allows.
[[nodiscard]] std::optional<PhysicalAddress> take_frame_run(const RunRequest& request);

/// RAM ends here.
[[nodiscard]] PhysicalAddress end_of_memory();

/// Whether the address lies in free RAM.
[[nodiscard]] bool is_free_frame(PhysicalAddress address);

void free_frames(PhysicalAddress first, std::uint64_t count);

}  // namespace hvp::lab::mm
