// One map of page frames for all processors.
#include "lab/nt/mm/frames.hpp"

#include "lab/nt/mm/memory_lock.hpp"

namespace hvp::lab::mm {
namespace {

constinit FrameMap map{};

}  // namespace

void initialise_frames(std::uint64_t memory_bytes, PhysicalAddress reserved_end,
                       std::uint64_t seed) {
    map.initialise(memory_bytes, reserved_end, seed);
}

std::optional<PhysicalAddress> take_frame() {
    const ke::Locked locked{memory_lock};
    return map.take();
}

std::optional<PhysicalAddress> take_frame_run(const RunRequest& request) {
    const ke::Locked locked{memory_lock};
    return map.take_run(request);
}

PhysicalAddress end_of_memory() {
    return map.end();
}

bool is_free_frame(PhysicalAddress address) {
    const ke::Locked locked{memory_lock};
    return map.is_free(address);
}

void free_frames(PhysicalAddress first, std::uint64_t count) {
    const ke::Locked locked{memory_lock};
    map.release(first, count);
}

}  // namespace hvp::lab::mm
