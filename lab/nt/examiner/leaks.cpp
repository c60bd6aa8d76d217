// Leak events.
#include "lab/nt/examiner/leaks.hpp"

#include <array>
#include <string_view>

#include "lab/nt/dbg/event.hpp"
#include "lab/nt/ex/pool.hpp"
#include "lab/nt/examiner/verdict.hpp"
#include "lab/nt/mm/contiguous.hpp"

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

void report(std::string_view kind, const mm::Block& block) {
    verdict().note_leak(block.bytes);
    dbg::Event{"Leak"}
        .text("kind", kind)
        .hex("address", block.address)
        .number("bytes", block.bytes)
        .text("tag", tag_text(block.tag).view())
        .hex("allocated_by", block.allocated_by);
}

bool is_leaked(const mm::Block& block) {
    return block.live() && block.owner == mm::Owner::driver;
}

}  // namespace

void report_leaks() {
    for (auto& block : mm::pool_region().records()) {
        if (is_leaked(block)) {
            report("pool", block);
            ex::free(block, 0);
        }
    }
    for (auto& block : mm::contiguous_region().records()) {
        if (is_leaked(block)) {
            report("contiguous", block);
            mm::free_contiguous(block, 0);
        }
    }
}

}  // namespace hvp::lab::examiner
