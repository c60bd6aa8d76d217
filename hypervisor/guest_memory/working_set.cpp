#include "hypervisor/guest_memory/working_set.hpp"

namespace hvp::ept {
namespace {

arch::GuestPhysicalAddress page_of(arch::GuestPhysicalAddress address) {
    return address - address.raw() % arch::page_bytes;
}

/// The processor reads the guest's tables, and writes their accessed and dirty flags: a write like
/// any other for the EPT.  [SDM 3C 28.2.3.2 "EPT Violations"]
constexpr Rights rights_of_tables = read_write;

Role role_of_table(Level level) {
    switch (level) {
        case Level::pml4:
            return Role::pml4;
        case Level::pointers:
            return Role::pointers;
        case Level::directory:
            return Role::directory;
        case Level::page_table:
            return Role::page_table;
    }
    return Role::page_table;
}

}  // namespace

std::expected<void, NeedError> WorkingSet::add(const NeededRange& range, const GuestPaging& paging,
                                               GuestMemoryReader memory) {
    const std::uint64_t first = range.linear.raw() / arch::page_bytes;
    const std::uint64_t end = (range.linear.raw() + range.bytes - 1) / arch::page_bytes + 1;
    for (std::uint64_t page = first; page != end; ++page) {
        const arch::GuestLinearAddress linear{page * arch::page_bytes};
        const GuestWalk walk = walk_guest_tables(paging, linear, memory);
        if (walk.end != GuestWalkEnd::page) {
            return std::unexpected{NeedError::not_mapped};
        }
        for (std::uint32_t i = 0; i < walk.step_count; ++i) {
            const GuestWalkStep& step = walk.steps[i];
            if (!put({.page = step.table,
                      .rights = rights_of_tables,
                      .role = role_of_table(step.level),
                      .linear = linear,
                      .first_use = range.role})) {
                return std::unexpected{NeedError::too_many};
            }
        }
        // Of a large page, the 4 KBytes that are meant.
        if (!put({.page = page_of(walk.physical),
                  .rights = range.rights,
                  .role = range.role,
                  .linear = linear,
                  .first_use = range.role})) {
            return std::unexpected{NeedError::too_many};
        }
    }
    return {};
}

const NeededPage* WorkingSet::find(arch::GuestPhysicalAddress address) const {
    for (const NeededPage& one : pages()) {
        if (one.page == page_of(address)) {
            return &one;
        }
    }
    return nullptr;
}

bool WorkingSet::put(const NeededPage& page) {
    for (std::size_t i = 0; i < count_; ++i) {
        if (pages_[i].page == page.page) {
            pages_[i].rights = pages_[i].rights | page.rights;
            return true;
        }
    }
    if (count_ == capacity) {
        return false;
    }
    pages_[count_++] = page;
    return true;
}

std::size_t WorkingSet::least_tables() const {
    std::size_t tables = 1;
    for (Level level = Level::pml4; level != Level::page_table; level = below(level)) {
        const std::uint64_t region = bytes_of_entry(level);
        for (std::size_t i = 0; i < count_; ++i) {
            bool is_first = true;
            for (std::size_t j = 0; j < i; ++j) {
                is_first =
                    is_first && pages_[i].page.raw() / region != pages_[j].page.raw() / region;
            }
            tables += is_first ? 1 : 0;
        }
    }
    return tables;
}

}  // namespace hvp::ept
