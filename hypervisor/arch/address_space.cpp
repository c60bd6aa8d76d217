// Four levels of tables, 9 bits of the address for each.
#include "hypervisor/arch/address_space.hpp"

#include <bit>

namespace hvp::arch {
namespace {

constexpr int levels = 4;

std::size_t index_at(int level, HostLinearAddress linear) {
    return linear.raw() >> (12 + 9 * (level - 1)) & 0x1FF;
}

PageTableEntry leaf(HostPhysicalAddress physical, Access access) {
    return {.present = 1,
            .writable = access == Access::read_write ? 1U : 0U,
            .accessed = 1,
            .dirty = 1,
            .frame = physical.raw() / page_bytes,
            .execute_disable = access == Access::read_execute ? 0U : 1U};
}

}  // namespace

PageTable& AddressSpace::table_at(PageTableEntry entry) const {
    return reserve_[entry.frame - physical_.raw() / page_bytes];
}

std::expected<PageTableEntry*, MapError> AddressSpace::entry_for(HostLinearAddress linear) {
    PageTable* table = &reserve_[0];
    for (int level = levels; level > 1; --level) {
        PageTableEntry& entry = (*table)[index_at(level, linear)];
        if (entry.present == 0) {
            if (used_ == reserve_.size()) {
                return std::unexpected{MapError::no_table_left};
            }
            // Rights are decided at the last level only.
            // [SDM 3A 4.6.1 "Determination of Access Rights"]
            entry = {.present = 1,
                     .writable = 1,
                     .accessed = 1,
                     .frame = physical_.raw() / page_bytes + used_};
            ++used_;
        }
        table = &table_at(entry);
    }
    return &(*table)[index_at(1, linear)];
}

std::expected<void, MapError> AddressSpace::map(const MappedRange& range) {
    for (std::size_t page = 0; page < range.pages; ++page) {
        const std::uint64_t offset = page * page_bytes;
        const auto entry = entry_for(range.linear + offset);
        if (!entry) {
            return std::unexpected{entry.error()};
        }
        const PageTableEntry wanted = leaf(range.physical + offset, range.access);
        if ((*entry)->present != 0 &&
            std::bit_cast<std::uint64_t>(**entry) != std::bit_cast<std::uint64_t>(wanted)) {
            return std::unexpected{MapError::mapped_already};
        }
        **entry = wanted;
    }
    return {};
}

std::expected<PhysicalWindow, MapError> AddressSpace::open_window(HostLinearAddress start) {
    const auto entries = entry_for(start);
    if (!entries) {
        return std::unexpected{entries.error()};
    }
    const HostLinearAddress table{reinterpret_cast<std::uint64_t>(*entries)};
    const auto mapped = map(
        {.linear = table,
         .physical = physical_ + (table.raw() - reinterpret_cast<std::uint64_t>(reserve_.data())),
         .pages = 1,
         .access = Access::read_write});
    if (!mapped) {
        return std::unexpected{mapped.error()};
    }
    return PhysicalWindow{*entries, start};
}

const PageTableEntry* AddressSpace::find(HostLinearAddress linear) const {
    const PageTable* table = &reserve_[0];
    for (int level = levels; level > 1; --level) {
        const PageTableEntry entry = (*table)[index_at(level, linear)];
        if (entry.present == 0) {
            return nullptr;
        }
        table = &table_at(entry);
    }
    const PageTableEntry& entry = (*table)[index_at(1, linear)];
    return entry.present != 0 ? &entry : nullptr;
}

}  // namespace hvp::arch
