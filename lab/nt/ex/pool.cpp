// Pool in which every block has its own pages, guard bytes around it and an unmapped page after it.
#include "lab/nt/ex/pool.hpp"

#include <algorithm>
#include <bit>
#include <optional>
#include <span>

#include "lab/nt/ke/bugcheck.hpp"
#include "lab/nt/mm/page_tables.hpp"
#include "lab/nt/mm/retired_pages.hpp"
#include "lab/nt/rtl/memory.hpp"
#include "lab/nt/rtl/text.hpp"

namespace hvp::lab::ex {
namespace {

constexpr std::uint8_t guard_byte = 0xB7;
constexpr std::uint8_t fresh_byte = 0xA5;
constexpr std::uint8_t freed_byte = 0xDD;
constexpr std::uint64_t alignment = 16;

using Bytes = std::span<std::uint8_t>;

/// The block's pages, and which of their bytes are not the block.
struct Surroundings {
    Bytes before;
    Bytes block;
    Bytes after;
};

Surroundings surroundings_of(const mm::Block& block) {
    auto* first = std::bit_cast<std::uint8_t*>(block.first_page().raw());
    const Bytes pages{first, block.pages * mm::page_bytes};
    const std::uint64_t offset = block.address - block.first_page().raw();
    return {pages.first(offset), pages.subspan(offset, block.bytes),
            pages.subspan(offset + block.bytes)};
}

void fill(Bytes bytes, std::uint8_t value) {
    __builtin_memset(bytes.data(), value, bytes.size());
}

/// Address of the first guard byte that was overwritten.
std::optional<std::uint64_t> damage_in(Bytes guards) {
    guards = guards.subspan(rtl::equal_quadwords(guards.data(), guards.size(), guard_byte));
    const auto found = std::ranges::find_if(guards, [](auto byte) { return byte != guard_byte; });
    if (found == guards.end()) {
        return std::nullopt;
    }
    return std::bit_cast<std::uint64_t>(&*found);
}

void check_guards(const mm::Block& block, Bytes guards, std::uint64_t where) {
    const auto damage = damage_in(guards);
    if (!damage) {
        return;
    }
    rtl::Sentence detail{"the block of "};
    detail.decimal(block.bytes).put(" bytes at ").hex(block.address).put(", allocated by ");
    detail.hex(block.allocated_by).put(", was written outside at ").hex(*damage);
    ke::bug_check({.code = ke::BugCheckCode::special_pool_detected_memory_corruption,
                   .parameters = {block.address, *damage, 0, where},
                   .detail = detail.view()});
}

}  // namespace

void* allocate(const PoolRequest& request) {
    const std::uint64_t pages = std::max<std::uint64_t>(mm::pages_for(request.bytes), 1);
    mm::Block* block = mm::pool_region().reserve(pages);
    if (block == nullptr || !mm::map_fresh(block->first_page(), pages,
                                           {.writable = true, .executable = request.executable})) {
        return nullptr;
    }
    if (request.bytes < mm::page_bytes) {
        const std::uint64_t rounded = (request.bytes + alignment - 1) & ~(alignment - 1);
        block->address += mm::page_bytes - std::max(rounded, alignment);
    }
    block->tag = request.tag;
    mm::begin_block(*block, request.bytes, request.owner, request.allocated_by);
    const auto around = surroundings_of(*block);
    fill(around.before, guard_byte);
    fill(around.block, request.zeroed ? 0 : fresh_byte);
    fill(around.after, guard_byte);
    return std::bit_cast<void*>(block->address);
}

bool free(mm::Block& block, std::uint64_t freed_by) {
    if (!mm::end_block(block, freed_by)) {
        return false;
    }
    const auto around = surroundings_of(block);
    constexpr std::uint64_t before_the_block = 0x23;
    constexpr std::uint64_t after_its_end = 0x24;
    check_guards(block, around.before, before_the_block);
    check_guards(block, around.after, after_its_end);
    fill(around.block, freed_byte);
    mm::retire(block.first_page(), block.pages);
    return true;
}

mm::Block* find_live(std::uint64_t address) {
    return mm::pool_region().find_live(address, mm::BlockKind::pool);
}

}  // namespace hvp::lab::ex
