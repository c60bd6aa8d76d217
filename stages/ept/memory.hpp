// The memory of this stage: the guest's data, the EPT's tables, and the list of what the guest
// needs, found by walking Windows' page tables.
#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <optional>

#include "hypervisor/arch/page.hpp"
#include "hypervisor/arch/processor_state.hpp"
#include "hypervisor/ept/table_pool.hpp"
#include "hypervisor/guest_memory/working_set.hpp"
#include "hypervisor/vmx/failure.hpp"
#include "platform/windows/irql.hpp"
#include "platform/windows/memory.hpp"
#include "stages/ept/guest.hpp"
#include "stages/ept/views.hpp"

namespace hvp::ept_stage {

/// Pages for tables. Each page of the set may lie far from all others, and then takes a page table,
/// perhaps a page directory for itself; two times the largest set that was seen.
inline constexpr std::size_t table_pages = 64;

/// What lies in the stage's pages. The guest gets the first two of them, the VMM all.
struct Memory {
    arch::Page guest_stack{};
    GuestData guest{};
    alignas(arch::page_bytes) std::array<ept::Table, table_pages> tables{};
    std::array<std::uint32_t, table_pages> links{};
    ept::WorkingSet needed{};
    std::optional<ept::TablePool> pool{};
    std::optional<Views> views{};
};

/// A Memory with an owner.
class StageMemory {
public:
    [[nodiscard]] static std::expected<StageMemory, vmx::Failure> take(
        const windows::AtPassiveLevel& passive);
    StageMemory(StageMemory&&) = default;
    StageMemory& operator=(StageMemory&&) = delete;

    [[nodiscard]] Memory& operator*() const { return *memory_; }
    [[nodiscard]] Memory* operator->() const { return memory_; }
    /// For the VMM's page tables.
    [[nodiscard]] arch::MappedRange range() const;

private:
    explicit StageMemory(windows::PageRun pages);

    windows::PageRun pages_;
    Memory* memory_;
};

/// Finds all pages that the guest needs, in the order in which `touch_everything` comes to use
/// them; behind them what an exception or an NMI would need: GDT, IDT, TSS.
///
/// Where    PASSIVE_LEVEL, in the address space of the guest to be
/// Source   [Windows: MmCopyMemory]
[[nodiscard]] std::expected<void, vmx::Failure> find_needed(Memory& memory,
                                                            const ept::Limits& limits,
                                                            const arch::ProcessorState& windows);

/// The host-physical address of the page that the function lies on.
[[nodiscard]] arch::HostPhysicalAddress page_of(std::uint64_t (*function)());

}  // namespace hvp::ept_stage
