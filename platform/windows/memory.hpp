// Memory that the processor reads by physical address: runs of whole pages with an owner.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>

#include "hypervisor/arch/address.hpp"
#include "platform/windows/irql.hpp"

namespace hvp::windows {

/// Pages that are contiguous in linear and in physical addresses; not executable, cached, zeroed.
/// Freed by the destructor, at PASSIVE_LEVEL.
class PageRun {
public:
    /// Needs    `highest`: no byte of the run lies above this physical address.
    /// Returns  Nothing if Windows has no such run. Soon after boot it has; later memory may be
    ///          too fragmented, so a driver takes what it needs once, when it starts.
    /// Source   [Windows: MmAllocateContiguousNodeMemory]
    [[nodiscard]] static std::optional<PageRun> allocate(const AtPassiveLevel&, std::size_t pages,
                                                         arch::HostPhysicalAddress highest);

    PageRun(PageRun&& other) noexcept
        : start_{std::exchange(other.start_, nullptr)},
          bytes_{other.bytes_},
          physical_{other.physical_} {}
    PageRun(const PageRun&) = delete;
    PageRun& operator=(const PageRun&) = delete;
    PageRun& operator=(PageRun&&) = delete;
    ~PageRun();

    [[nodiscard]] std::byte* start() const { return start_; }
    [[nodiscard]] std::size_t bytes() const { return bytes_; }
    [[nodiscard]] arch::HostPhysicalAddress physical() const { return physical_; }
    /// The first byte after the run: where a stack in it begins, growing down.
    [[nodiscard]] std::byte* end() const { return start_ + bytes_; }

private:
    PageRun(std::byte* start, std::size_t bytes, arch::HostPhysicalAddress physical)
        : start_{start}, bytes_{bytes}, physical_{physical} {}

    std::byte* start_;
    std::size_t bytes_;
    arch::HostPhysicalAddress physical_;
};

/// Where something of ours lies in physical memory.
///
/// Needs    memory that is not pageable
/// Source   [Windows: MmGetPhysicalAddress]
[[nodiscard]] arch::HostPhysicalAddress physical_address_of(const volatile void* something);

/// The same, rounded down to the start of its page.
[[nodiscard]] arch::HostPhysicalAddress physical_page_of(const volatile void* something);

/// Reads a quadword of physical memory, of page tables too: these are in no mapping that a driver
/// may use, and MmMapIoSpace refuses them; but physical memory may be copied.
///
/// Returns  false if there is no memory
/// Where    PASSIVE_LEVEL
/// Source   [Windows: MmCopyMemory]
[[nodiscard]] bool read_physical(arch::GuestPhysicalAddress where, std::uint64_t& value);

}  // namespace hvp::windows
