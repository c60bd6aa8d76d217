// A few linear addresses through which the VMM reads and writes any physical page.
//
// The VMM's own page tables map only what it always needs. To access a page of the guest, one of
// their entries is made to map it for a while.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

#include "hypervisor/arch/address.hpp"
#include "hypervisor/arch/instructions.hpp"
#include "hypervisor/arch/page_table_entry.hpp"

namespace hvp::arch {

/// One processor's window; each of its places shows one page at a time.
///
/// Where    the VMM, on the page tables that the window was opened in
class PhysicalWindow {
public:
    /// Needs    `entries` in use for the pages from `start` on, and mapped where they are now
    PhysicalWindow(PageTableEntry* entries, HostLinearAddress start)
        : entries_{entries}, start_{start} {}

    /// Shows the page of ordinary memory that the address lies in, to read and write.
    [[nodiscard]] std::byte* show(std::size_t place, HostPhysicalAddress address) const {
        const HostLinearAddress linear = start_ + place * page_bytes;
        const PageTableEntry wanted{.present = 1,
                                    .writable = 1,
                                    .accessed = 1,
                                    .dirty = 1,
                                    .frame = address.raw() / page_bytes,
                                    .execute_disable = 1};
        if (std::bit_cast<std::uint64_t>(entries_[place]) != std::bit_cast<std::uint64_t>(wanted)) {
            entries_[place] = wanted;
            invlpg(linear);
        }
        return reinterpret_cast<std::byte*>(linear.raw());
    }

private:
    PageTableEntry* entries_;
    HostLinearAddress start_;
};

}  // namespace hvp::arch
