// Memory that is allocated in blocks: pool, contiguous memory, mappings. Each block has pages of
// its own with an unmapped page after them, and its addresses are never reused. So every access
// after the end or after the free faults, and a double free is detected. Driver Verifier calls this
// special pool.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "lab/nt/mm/layout.hpp"
#include "lab/nt/mm/page_tables.hpp"

namespace hvp::lab::mm {

/// The block's owner; only the driver's blocks can leak.
enum class Owner : std::uint8_t { kernel, driver };

/// The kind of call that allocated it; the kinds after `contiguous` are addresses only, without
/// memory of their own.
enum class BlockKind : std::uint8_t { pool, noncached, contiguous, mdl_mapping, io_mapping };

/// The kind's name in reports.
[[nodiscard]] constexpr std::string_view name_of(BlockKind kind) {
    switch (kind) {
        case BlockKind::pool:
            return "pool";
        case BlockKind::noncached:
            return "noncached";
        case BlockKind::contiguous:
            return "contiguous";
        case BlockKind::mdl_mapping:
            return "MDL-mapped";
        case BlockKind::io_mapping:
            return "I/O-mapped";
    }
    return "";
}

enum class BlockState : std::uint8_t { none, live, freed };

/// One block; its record stays after it was freed.
struct Block {
    std::uint64_t address{};
    std::uint64_t bytes{};
    std::uint64_t allocated_by{};
    std::uint64_t freed_by{};
    std::uint64_t pages{};
    std::uint32_t tag{};
    Owner owner{Owner::kernel};
    BlockState state{BlockState::none};
    BlockKind kind{BlockKind::pool};
    Caching caching{Caching::cached};
    std::uint64_t unused{};

    [[nodiscard]] bool live() const { return state == BlockState::live; }
    [[nodiscard]] LinearAddress first_page() const { return page_of(LinearAddress{address}); }
};
static_assert(sizeof(Block) == 64);

/// A range of addresses, allocated from low to high, with one record for each page.
class BlockRegion {
public:
    constexpr BlockRegion(LinearAddress pages, LinearAddress records)
        : pages_{pages}, records_{records} {}

    /// A record for a new block of `pages` pages; its address is the first of them, and nothing is
    /// mapped there yet. Null: no memory for the record.
    [[nodiscard]] Block* reserve(std::uint64_t pages);

    /// The block that holds the address or lies before it; null: the address is not of this region.
    [[nodiscard]] Block* near(LinearAddress address);

    /// The live block of that kind that begins exactly at the address, or null.
    [[nodiscard]] Block* find_live(std::uint64_t address, BlockKind kind);

    /// All records, live or freed or unused, for searching.
    [[nodiscard]] std::span<Block> records();

private:
    LinearAddress pages_;
    LinearAddress records_;
    std::uint64_t next_page_{1};
    std::uint64_t recorded_pages_{};
};

/// The block of any kind at or before the address, if there is any.
[[nodiscard]] const Block* block_near(LinearAddress address);

/// Pool and noncached memory; contiguous memory; and addresses for what lies elsewhere in memory.
[[nodiscard]] BlockRegion& pool_region();
[[nodiscard]] BlockRegion& contiguous_region();
[[nodiscard]] BlockRegion& mapping_region();

/// How many bytes the driver holds now and held at most, of both kinds.
struct DriverHoldings {
    std::uint64_t now{};
    std::uint64_t peak{};
};
[[nodiscard]] const DriverHoldings& driver_holdings();

/// Accounting at a block's allocation and free. Needs no lock: until the free the block belongs to
/// the caller.
///
/// Returns  false: another processor has freed it at the same time
void begin_block(Block& block, std::uint64_t bytes, Owner owner, std::uint64_t allocated_by);
bool end_block(Block& block, std::uint64_t freed_by);

}  // namespace hvp::lab::mm
