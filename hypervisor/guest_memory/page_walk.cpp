#include "hypervisor/guest_memory/page_walk.hpp"

#include "hypervisor/arch/bits.hpp"

namespace hvp::ept {
namespace {

using arch::bits;

constexpr std::uint64_t present = 1U << 0;
constexpr std::uint64_t writable = 1U << 1;
constexpr std::uint64_t user = 1U << 2;
constexpr std::uint64_t large = 1U << 7;
constexpr std::uint64_t execute_disable = 1ULL << 63;
constexpr std::uint64_t address_bits = bits(51, 12);

bool is_canonical(std::uint64_t linear) {
    const std::uint64_t upper = linear >> 47;
    return upper == 0 || upper == 0x1'FFFF;
}

bool maps_page(Level level, std::uint64_t entry) {
    return level == Level::page_table || (level != Level::pml4 && (entry & large) != 0);
}

/// The bits that raise a page fault where they are set.
/// [SDM 3A 4.5 "4-Level Paging and 5-Level Paging"], tables 4-15 to 4-20
std::uint64_t reserved(const GuestPaging& paging, Level level, std::uint64_t entry) {
    std::uint64_t mask = bits(51, paging.physical_address_bits);
    if (!paging.no_execute_enabled) {
        mask |= execute_disable;
    }
    if (level == Level::pml4 || (level == Level::pointers && !paging.pages_1_gb)) {
        mask |= large;
    }
    if (level != Level::page_table && maps_page(level, entry)) {
        // Bit 12 is the PAT bit of a large page; the bits between it and the address are reserved.
        mask |= bits(level == Level::directory ? 20 : 29, 13);
    }
    return mask;
}

}  // namespace

GuestWalk walk_guest_tables(const GuestPaging& paging, arch::GuestLinearAddress linear,
                            GuestMemoryReader memory) {
    GuestWalk walk{.writable = true, .executable = true, .user = true};
    if (!is_canonical(linear.raw())) {
        walk.end = GuestWalkEnd::not_canonical;
        return walk;
    }
    arch::GuestPhysicalAddress table{paging.cr3 & address_bits};
    for (Level level = Level::pml4;; level = below(level)) {
        GuestWalkStep& step = walk.steps[walk.step_count++];
        step.level = level;
        step.table = table;
        step.index = static_cast<std::uint32_t>(index_at(level, linear.raw()));
        if (!memory.read(table + step.index * sizeof(std::uint64_t), step.entry)) {
            walk.end = GuestWalkEnd::unreadable;
            return walk;
        }
        if ((step.entry & present) == 0) {
            walk.end = GuestWalkEnd::not_present;
            return walk;
        }
        if ((step.entry & reserved(paging, level, step.entry)) != 0) {
            walk.end = GuestWalkEnd::reserved_bit;
            return walk;
        }
        walk.writable = walk.writable && (step.entry & writable) != 0;
        walk.user = walk.user && (step.entry & user) != 0;
        walk.executable = walk.executable && (step.entry & execute_disable) == 0;
        if (maps_page(level, step.entry)) {
            walk.end = GuestWalkEnd::page;
            walk.page_bytes = bytes_of_entry(level);
            const std::uint64_t base = step.entry & address_bits & ~(walk.page_bytes - 1);
            walk.physical = arch::GuestPhysicalAddress{base + linear.raw() % walk.page_bytes};
            return walk;
        }
        table = arch::GuestPhysicalAddress{step.entry & address_bits};
    }
}

}  // namespace hvp::ept
