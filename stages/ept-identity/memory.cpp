#include "stages/ept-identity/memory.hpp"

#include <memory>
#include <new>
#include <utility>

namespace hvp::identity_stage {
namespace {

constexpr std::uint64_t mb_2 = ept::bytes_of_entry(ept::Level::directory);
constexpr std::size_t fixed_pages = arch::pages_for(sizeof(VmmPages));

std::size_t tables_of(std::size_t identity_tables) {
    return ept::SplitViews::pages_needed(identity_tables, Machine::processors, stretches);
}

/// Behind VmmPages lie the tables, and behind these their links.
std::size_t vmm_page_count(std::size_t tables) {
    const std::size_t links = tables * sizeof(std::uint32_t);
    return fixed_pages + tables + arch::pages_for(links);
}

}  // namespace

StageMemory::StageMemory(windows::PageRun vmm_run, windows::PageRun guest_run,
                         std::size_t identity_tables)
    : vmm_run_{std::move(vmm_run)},
      guest_run_{std::move(guest_run)},
      identity_tables_{identity_tables},
      vmm_{new(vmm_run_.start()) VmmPages{}},
      watched_{guest_run_.start() + (-guest_run_.physical().raw() & (mb_2 - 1))},
      guest_{new(watched_ + watched_pages * arch::page_bytes) GuestData{}} {}

std::expected<StageMemory, vmx::Failure> StageMemory::take(const windows::AtPassiveLevel& passive,
                                                           std::size_t identity_tables) {
    const std::size_t tables = identity_tables + spare_tables;
    // Twice the size, so that 2 MBytes of it begin at a multiple of 2 MBytes.
    constexpr std::size_t guest_pages = 2 * mb_2 / arch::page_bytes;
    constexpr arch::HostPhysicalAddress anywhere{0x7FFF'FFFF'FFFF'FFFF};
    auto vmm = windows::PageRun::allocate(passive, vmm_page_count(tables_of(tables)), anywhere);
    auto guest = windows::PageRun::allocate(passive, guest_pages, anywhere);
    if (!vmm || !guest) {
        static constexpr vmx::Explanation why{
            .step = "memory for EPT tables",
            .rule = {"3C", "28.2.2", "EPT Translation Mechanism"},
            .remedy = "Windows has no contiguous pages left: start the driver soon after boot",
        };
        return std::unexpected{vmx::Failure{.kind = vmx::FailureKind::out_of_memory, .why = &why}};
    }
    return StageMemory{std::move(*vmm), std::move(*guest), tables};
}

ept::TableMemory StageMemory::tables() const {
    const std::size_t count = tables_of(identity_tables_);
    auto* const first =
        reinterpret_cast<ept::Table*>(vmm_run_.start() + fixed_pages * arch::page_bytes);
    return {.pages = {first, count},
            .links = {reinterpret_cast<std::uint32_t*>(first + count), count},
            .physical = physical_of(first)};
}

arch::MappedRange StageMemory::vmm_range() const {
    return {.linear = arch::linear_address_of(vmm_),
            .physical = vmm_run_.physical(),
            .pages = vmm_run_.bytes() / arch::page_bytes,
            .access = arch::Access::read_write};
}

arch::HostPhysicalAddress StageMemory::physical_of(const void* object) const {
    return vmm_run_.physical() +
           (reinterpret_cast<std::uint64_t>(object) - reinterpret_cast<std::uint64_t>(vmm_));
}

}  // namespace hvp::identity_stage
