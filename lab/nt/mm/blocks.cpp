// Records of blocks, one for each page of the region: the address of a block is the index of its
// record.
#include "lab/nt/mm/blocks.hpp"

#include <algorithm>
#include <bit>

#include "lab/nt/mm/frames.hpp"
#include "lab/nt/mm/memory_lock.hpp"
#include "lab/nt/mm/page_tables.hpp"

namespace hvp::lab::mm {
namespace {

constinit BlockRegion pool{pool_pages, pool_records};
constinit BlockRegion contiguous{contiguous_pages, contiguous_records};
constinit BlockRegion mappings{mapping_pages, mapping_records};
constinit DriverHoldings holdings{};

constexpr std::uint64_t records_per_page = page_bytes / sizeof(Block);

bool is_memory_of_driver(const Block& block) {
    return block.owner == Owner::driver && block.kind <= BlockKind::contiguous;
}

/// Returns the state before: of two processors that do it at the same time, only one gets `live`.
BlockState exchange(BlockState& state, BlockState next) {
    BlockState before{};
    __atomic_exchange(&state, &next, &before, __ATOMIC_ACQ_REL);
    return before;
}

}  // namespace

Block* BlockRegion::reserve(std::uint64_t pages) {
    const ke::Locked locked{memory_lock};
    if (pages > end_of_memory().raw() / page_bytes) {
        return nullptr;  // the records alone would use up all memory
    }
    const std::uint64_t first = next_page_;
    const std::uint64_t end = first + pages + 1;
    while (recorded_pages_ < end) {
        const LinearAddress at = records_ + recorded_pages_ / records_per_page * page_bytes;
        if (!map_fresh(at, 1, read_write)) {
            return nullptr;
        }
        __builtin_memset(std::bit_cast<void*>(at.raw()), 0, page_bytes);
        recorded_pages_ += records_per_page;
    }
    next_page_ = end;
    Block& block = std::bit_cast<Block*>(records_.raw())[first];
    block.address = (pages_ + first * page_bytes).raw();
    block.pages = pages;
    return &block;
}

Block* BlockRegion::near(LinearAddress address) {
    if (address < pages_ || address >= pages_ + next_page_ * page_bytes) {
        return nullptr;
    }
    const auto all = records();
    for (std::uint64_t index = (address - pages_) / page_bytes; index != 0; --index) {
        if (all[index].state != BlockState::none) {
            return &all[index];
        }
    }
    return nullptr;
}

Block* BlockRegion::find_live(std::uint64_t address, BlockKind kind) {
    Block* const block = near(LinearAddress{address});
    const bool found =
        block != nullptr && block->live() && block->kind == kind && block->address == address;
    return found ? block : nullptr;
}

std::span<Block> BlockRegion::records() {
    return {std::bit_cast<Block*>(records_.raw()), next_page_ > 1 ? next_page_ : 0};
}

const Block* block_near(LinearAddress address) {
    for (BlockRegion* const region : {&pool, &contiguous, &mappings}) {
        if (const Block* const block = region->near(address)) {
            return block;
        }
    }
    return nullptr;
}

BlockRegion& pool_region() {
    return pool;
}

BlockRegion& contiguous_region() {
    return contiguous;
}

BlockRegion& mapping_region() {
    return mappings;
}

const DriverHoldings& driver_holdings() {
    return holdings;
}

void begin_block(Block& block, std::uint64_t bytes, Owner owner, std::uint64_t allocated_by) {
    block.bytes = bytes;
    block.owner = owner;
    block.allocated_by = allocated_by;
    (void)exchange(block.state, BlockState::live);
    if (!is_memory_of_driver(block)) {
        return;
    }
    const std::uint64_t now = __atomic_add_fetch(&holdings.now, bytes, __ATOMIC_RELAXED);
    std::uint64_t peak = __atomic_load_n(&holdings.peak, __ATOMIC_RELAXED);
    while (peak < now && !__atomic_compare_exchange_n(&holdings.peak, &peak, now, true,
                                                      __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
    }
}

bool end_block(Block& block, std::uint64_t freed_by) {
    if (exchange(block.state, BlockState::freed) != BlockState::live) {
        return false;
    }
    block.freed_by = freed_by;
    if (is_memory_of_driver(block)) {
        __atomic_sub_fetch(&holdings.now, block.bytes, __ATOMIC_RELAXED);
    }
    return true;
}

}  // namespace hvp::lab::mm
