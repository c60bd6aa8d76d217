// Four-level paging through the self-map: every table is mapped as memory, because one entry of the
// PML4 points to the PML4 itself. The entry for an address A lies at page_tables + A / 4096 * 8;
// applying this rule again gives the entry of the level above.
#include "lab/nt/mm/page_tables.hpp"

#include <bit>

#include "hypervisor/arch/instructions.hpp"
#include "lab/nt/ke/ipi.hpp"
#include "lab/nt/mm/frames.hpp"
#include "lab/nt/mm/memory_lock.hpp"

namespace hvp::lab::mm {
namespace {

constexpr int levels = 4;

constinit bool execute_disable_works{};

PageTableEntry* entry_above(const void* address) {
    const std::uint64_t index = std::bit_cast<std::uint64_t>(address) >> 12 & 0xF'FFFF'FFFF;
    return std::bit_cast<PageTableEntry*>(page_tables.raw() + index * sizeof(PageTableEntry));
}

/// The entry for `address` in the table of `level`: 1 page table, 4 PML4.
PageTableEntry* entry_at(LinearAddress address, int level) {
    auto* entry = entry_above(std::bit_cast<const void*>(address.raw()));
    while (--level > 0) {
        entry = entry_above(entry);
    }
    return entry;
}

PageTableEntry leaf(PhysicalAddress frame, Protection protection) {
    return {.present = 1,
            .writable = protection.writable,
            .write_through = protection.caching != Caching::cached,
            .cache_disable = protection.caching == Caching::uncached,
            .global = 1,
            .frame = frame.raw() / page_bytes,
            .execute_disable = !protection.executable && execute_disable_works};
}

/// Whether the tables of levels 3 to 1 that lead to the page exist. No table is ever freed.
bool has_tables(LinearAddress page) {
    for (int level = levels; level > 1; --level) {
        if (!entry_at(page, level)->present) {
            return false;
        }
    }
    return true;
}

/// Creates those that do not.
bool ensure_tables(LinearAddress page) {
    const ke::Locked locked{memory_lock};
    for (int level = levels; level > 1; --level) {
        auto* entry = entry_at(page, level);
        if (entry->present) {
            continue;
        }
        const auto frame = take_frame();
        if (!frame) {
            return false;
        }
        *entry = {.present = 1, .writable = 1, .frame = frame->raw() / page_bytes};
        auto* table = std::bit_cast<void*>(std::bit_cast<std::uint64_t>(entry_at(page, level - 1)) &
                                           ~(page_bytes - 1));
        arch::invlpg(arch::linear_address_of(table));
        __builtin_memset(table, 0, page_bytes);
    }
    return true;
}

/// Searches everything that one table of this level maps, from `first` on.
std::optional<LinearAddress> find_below(LinearAddress first, int level, std::uint64_t frame) {
    constexpr std::uint64_t entries = 512;
    const std::uint64_t bytes = page_bytes << 9 * (level - 1);
    for (std::uint64_t i = level == levels ? entries / 2 : 0; i < entries; ++i) {
        const LinearAddress at = first + i * bytes;
        const PageTableEntry entry = *entry_at(at, level);
        if (!entry.present || (entry.large && level > 1)) {
            continue;
        }
        if (level == 1) {
            if (entry.frame == frame) {
                return at;
            }
        } else if (const auto found = find_below(at, level - 1, frame)) {
            return found;
        }
    }
    return std::nullopt;
}

}  // namespace

PhysicalAddress create_address_space(bool nx_works) {
    execute_disable_works = nx_works;
    // This is the first allocation of a frame, and the smallest machine has thousands.
    const PhysicalAddress root = take_frame().value_or(PhysicalAddress{0});
    auto* entries = std::bit_cast<PageTableEntry*>(root.raw());
    __builtin_memset(entries, 0, page_bytes);
    const PageTableEntry self{.present = 1, .writable = 1, .frame = root.raw() / page_bytes};
    entries[self_map_slot] = self;
    // The same slot in the firmware's PML4 maps the new tables at their final addresses already.
    std::bit_cast<PageTableEntry*>(arch::read_cr3())[self_map_slot] = self;
    return root;
}

bool map(LinearAddress page, PhysicalAddress frame, Protection protection) {
    if (!has_tables(page) && !ensure_tables(page)) {
        return false;
    }
    // Only the page's owner writes its entry, so this needs no lock.
    *entry_at(page, 1) = leaf(frame, protection);
    return true;
}

void protect(LinearAddress first, std::uint64_t pages, Protection protection) {
    const ke::Locked locked{memory_lock};
    for (std::uint64_t i = 0; i < pages; ++i) {
        auto* entry = entry_at(first + i * page_bytes, 1);
        *entry = leaf(PhysicalAddress{entry->frame * page_bytes}, protection);
    }
    ke::flush_tlbs(first, pages);
}

std::optional<PageTableEntry> entry_for(LinearAddress address) {
    if (!is_canonical(address)) {
        return std::nullopt;
    }
    for (int level = levels; level > 1; --level) {
        const PageTableEntry entry = *entry_at(address, level);
        if (!entry.present) {
            return std::nullopt;
        }
        if (entry.large && level < levels) {
            return entry;
        }
    }
    return *entry_at(address, 1);
}

std::optional<PhysicalAddress> translate(LinearAddress address) {
    if (!is_canonical(address)) {
        return std::nullopt;
    }
    std::uint64_t bytes = page_bytes << 9 * (levels - 1);
    for (int level = levels; level > 0; --level, bytes >>= 9) {
        const PageTableEntry entry = *entry_at(address, level);
        if (!entry.present) {
            return std::nullopt;
        }
        if (level == 1 || (entry.large && level < levels)) {
            const std::uint64_t start = entry.frame * page_bytes & ~(bytes - 1);
            return PhysicalAddress{start + (address.raw() & (bytes - 1))};
        }
    }
    return std::nullopt;
}

std::optional<LinearAddress> find_mapping(PhysicalAddress physical) {
    const ke::Locked locked{memory_lock};
    // Bits 63:48 of an address in the upper half are all 1.
    constexpr LinearAddress upper_bits{0xFFFF'0000'0000'0000};
    return find_below(upper_bits, levels, physical.raw() / page_bytes);
}

bool map_fresh(LinearAddress first, std::uint64_t pages, Protection protection) {
    for (std::uint64_t i = 0; i < pages; ++i) {
        const auto frame = take_frame();
        if (!frame || !map(first + i * page_bytes, *frame, protection)) {
            if (frame) {
                free_frames(*frame, 1);
            }
            unmap_and_free(first, i);
            return false;
        }
    }
    return true;
}

void unmap(LinearAddress first, std::uint64_t pages) {
    const ke::Locked locked{memory_lock};
    for (std::uint64_t i = 0; i < pages; ++i) {
        *entry_at(first + i * page_bytes, 1) = {};
    }
    ke::flush_tlbs(first, pages);
}

void hide(LinearAddress first, std::uint64_t pages) {
    for (std::uint64_t i = 0; i < pages; ++i) {
        if (translate(first + i * page_bytes)) {
            entry_at(first + i * page_bytes, 1)->present = 0;
        }
    }
}

void free_unmapped(LinearAddress first, std::uint64_t pages) {
    const ke::Locked locked{memory_lock};
    for (std::uint64_t i = 0; i < pages; ++i) {
        const auto entry = entry_for(first + i * page_bytes);
        if (entry && entry->frame != 0) {
            free_frames(PhysicalAddress{entry->frame * page_bytes}, 1);
            *entry_at(first + i * page_bytes, 1) = {};
        }
    }
}

void unmap_and_free(LinearAddress first, std::uint64_t pages) {
    const ke::Locked locked{memory_lock};
    hide(first, pages);
    ke::flush_tlbs(first, pages);
    free_unmapped(first, pages);
}

}  // namespace hvp::lab::mm
