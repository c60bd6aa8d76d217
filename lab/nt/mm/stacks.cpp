// Stacks come from a region of their own; between any two lies an unmapped page.
#include "lab/nt/mm/stacks.hpp"

#include <bit>

#include "lab/nt/mm/memory_lock.hpp"
#include "lab/nt/mm/page_tables.hpp"

namespace hvp::lab::mm {
namespace {

constexpr std::uint64_t paint = 0x5A5A'5A5A'5A5A'5A5A;

constinit LinearAddress next_stack = stacks + page_bytes;

}  // namespace

std::optional<Stack> create_stack(std::uint64_t pages) {
    const ke::Locked locked{memory_lock};
    const Stack stack{.limit = next_stack, .end = next_stack + pages * page_bytes};
    if (!map_fresh(stack.limit, pages, read_write)) {
        return std::nullopt;
    }
    next_stack = stack.end + page_bytes;
    for (LinearAddress at = stack.limit; at < stack.end; at = at + sizeof paint) {
        *std::bit_cast<std::uint64_t*>(at.raw()) = paint;
    }
    return stack;
}

void destroy_stack(const Stack& stack) {
    unmap_and_free(stack.limit, (stack.end - stack.limit) / page_bytes);
}

std::uint64_t deepest_use(const Stack& stack) {
    LinearAddress at = stack.limit;
    while (at < stack.end && *std::bit_cast<const std::uint64_t*>(at.raw()) == paint) {
        at = at + sizeof paint;
    }
    return stack.end - at;
}

bool is_stack_guard(LinearAddress address) {
    return address >= stacks && address < next_stack && !translate(address);
}

}  // namespace hvp::lab::mm
