// Further mappings of pages that exist already: device memory, and what an MDL describes.
#pragma once

#include <cstdint>
#include <span>

#include "lab/nt/mm/blocks.hpp"
#include "lab/nt/mm/page_tables.hpp"

namespace hvp::lab::mm {

/// What is to be mapped, and the owner.
struct MappingRequest {
    BlockKind kind{BlockKind::io_mapping};
    std::uint64_t offset{};  ///< of the first byte in the first page
    std::uint64_t bytes{};
    Protection protection{read_write};
    std::uint64_t mapped_by{};
};

/// Maps page frames at consecutive addresses.
///
/// Needs    `frame_of(i)`: the number of the i-th frame
/// Returns  null if memory for page tables or records is short
template <typename FrameOf>
[[nodiscard]] Block* map_frames(const MappingRequest& request, FrameOf frame_of) {
    const std::uint64_t pages = pages_for(request.offset + request.bytes);
    Block* const block = mapping_region().reserve(pages);
    if (block == nullptr) {
        return nullptr;
    }
    const LinearAddress first = block->first_page();
    for (std::uint64_t i = 0; i < pages; ++i) {
        if (!map(first + i * page_bytes, PhysicalAddress{frame_of(i) * page_bytes},
                 request.protection)) {
            unmap(first, i);
            return nullptr;
        }
    }
    block->kind = request.kind;
    block->caching = request.protection.caching;
    block->address += request.offset;
    begin_block(*block, request.bytes, Owner::driver, request.mapped_by);
    return block;
}

/// Ends a mapping. The pages stay allocated.
void end_mapping(Block& block, std::uint64_t unmapped_by);

}  // namespace hvp::lab::mm
