// MmMapIoSpace, MmUnmapIoSpace.
#include "lab/nt/mm/mapping.hpp"

#include <bit>

#include "lab/nt/examiner/rules.hpp"
#include "lab/nt/mm/frames.hpp"
#include "lab/nt/rtl/export.hpp"

namespace hvp::lab::mm {
namespace {

/// Free RAM may be allocated to others while it is mapped.
void check_not_free(std::uint64_t physical, std::uint64_t bytes, std::uint64_t caller) {
    for (std::uint64_t offset = 0; offset < bytes; offset += page_bytes) {
        if (is_free_frame(PhysicalAddress{physical + offset})) {
            rtl::Sentence detail{"MmMapIoSpace was given physical address "};
            detail.hex(physical + offset).put(", memory that is neither allocated nor locked");
            return examiner::report_finding("FreeMemoryMapped", detail,
                                            examiner::map_of_free_memory, caller);
        }
    }
}

}  // namespace

void end_mapping(Block& block, std::uint64_t unmapped_by) {
    unmap(block.first_page(), block.pages);
    end_block(block, unmapped_by);
}

/// [Windows: MmMapIoSpace]
NT_EXPORT void* MmMapIoSpace(std::uint64_t physical, std::uint64_t bytes, Caching caching) {
    const auto caller = examiner::caller(__builtin_return_address(0));
    examiner::check_irql_at_most(ke::Irql::dispatch,
                                 {"MmMapIoSpace", examiner::map_io_space_irql, caller});
    if (bytes == 0 || examiner::must_fail_allocation("MmMapIoSpace")) {
        return nullptr;
    }
    check_not_free(physical, bytes, caller);
    const Block* const block =
        map_frames({.kind = BlockKind::io_mapping,
                    .offset = physical % page_bytes,
                    .bytes = bytes,
                    .protection = {.writable = true, .executable = true, .caching = caching},
                    .mapped_by = caller},
                   [=](std::uint64_t i) -> std::uint64_t { return physical / page_bytes + i; });
    return block != nullptr ? std::bit_cast<void*>(block->address) : nullptr;
}

/// [Windows: MmUnmapIoSpace] With the size that was mapped.
NT_EXPORT void MmUnmapIoSpace(std::uint64_t address, std::uint64_t bytes) {
    const auto caller = examiner::caller(__builtin_return_address(0));
    examiner::check_irql_at_most(ke::Irql::dispatch,
                                 {"MmUnmapIoSpace", examiner::unmap_io_space_irql, caller});
    Block* const block = mapping_region().find_live(address, BlockKind::io_mapping);
    if (block == nullptr || block->bytes != bytes) {
        rtl::Sentence detail{"MmUnmapIoSpace was given "};
        detail.hex(address).put(" and ").decimal(bytes).put(" bytes, which MmMapIoSpace did not ");
        return examiner::report_finding("UnmappedDifferently", detail.put("return together"),
                                        examiner::no_verifier_code, caller);
    }
    end_mapping(*block, caller);
}

}  // namespace hvp::lab::mm
