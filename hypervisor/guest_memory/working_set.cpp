#include "hypervisor/guest_memory/working_set.hpp"

namespace hvp::ept {
namespace {

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

std::expected<void, WorkingSetError> WorkingSet::add(const WorkingSetRange& range,
                                                     const GuestPaging& paging,
                                                     GuestMemoryReader memory) {
    const std::uint64_t first = range.linear.raw() / arch::page_bytes;
    const std::uint64_t end = (range.linear.raw() + range.bytes - 1) / arch::page_bytes + 1;
    for (std::uint64_t page = first; page != end; ++page) {
        const arch::GuestLinearAddress linear{page * arch::page_bytes};
        const GuestWalk walk = walk_guest_tables(paging, linear, memory);
        if (walk.end != GuestWalkEnd::page) {
            return std::unexpected{WorkingSetError::not_mapped};
        }
        for (std::uint32_t i = 0; i < walk.step_count; ++i) {
            const GuestWalkStep& step = walk.steps[i];
            if (!put({.page = step.table,
                      .rights = rights_of_tables,
                      .role = role_of_table(step.level),
                      .linear = linear,
                      .first_use = range.role})) {
                return std::unexpected{WorkingSetError::too_many};
            }
        }
        // Of a large page, only the 4 KBytes that the range touches.
        if (!put({.page = arch::page_of(walk.physical),
                  .rights = range.rights,
                  .role = range.role,
                  .linear = linear,
                  .first_use = range.role})) {
            return std::unexpected{WorkingSetError::too_many};
        }
    }
    return {};
}

const WorkingSetPage* WorkingSet::find(arch::GuestPhysicalAddress address) const {
    for (const WorkingSetPage& one : pages()) {
        if (one.page == arch::page_of(address)) {
            return &one;
        }
    }
    return nullptr;
}

bool WorkingSet::put(const WorkingSetPage& page) {
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
