// Leak events.
#include "lab/nt/examiner/leaks.hpp"

#include <array>
#include <string_view>

#include "lab/nt/dbg/event.hpp"
#include "lab/nt/ex/pool.hpp"
#include "lab/nt/examiner/verdict.hpp"
#include "lab/nt/mm/contiguous.hpp"
#include "lab/nt/mm/mapping.hpp"
#include "lab/nt/mm/mdl.hpp"
#include "lab/nt/mm/noncached.hpp"

namespace hvp::lab::examiner {
namespace {

/// The four characters of a tag, first one in the low byte.
rtl::Text<4> tag_text(std::uint32_t tag) {
    rtl::Text<4> text;
    for (int shift = 0; shift < 32; shift += 8) {
        const auto character = static_cast<char>(tag >> shift & 0xFF);
        if (character != '\0') {
            text.put({&character, 1});
        }
    }
    return text;
}

void report(const mm::Block& block) {
    verdict().note_leak(block.bytes);
    dbg::Event{"Leak"}
        .text("kind", mm::name_of(block.kind))
        .hex("address", block.address)
        .number("bytes", block.bytes)
        .text("tag", tag_text(block.tag).view())
        .hex("allocated_by", block.allocated_by);
}

bool is_leaked(const mm::Block& block) {
    return block.live() && block.owner == mm::Owner::driver;
}

void take_back(mm::Block& block) {
    switch (block.kind) {
        case mm::BlockKind::pool:
            ex::free(block, 0);
            return;
        case mm::BlockKind::noncached:
            return mm::free_noncached(block, 0);
        case mm::BlockKind::contiguous:
            return mm::free_contiguous(block, 0);
        case mm::BlockKind::mdl_mapping:
        case mm::BlockKind::io_mapping:
            return mm::end_mapping(block, 0);
    }
}

}  // namespace

void report_leaks() {
    mm::report_locked_pages();
    // Mappings first: an MDL describes what is mapped, and is itself a pool block.
    for (auto* region : {&mm::mapping_region(), &mm::contiguous_region(), &mm::pool_region()}) {
        for (auto& block : region->records()) {
            if (is_leaked(block)) {
                report(block);
                take_back(block);
            }
        }
    }
}

}  // namespace hvp::lab::examiner
