// The memory of this stage: the guest's data, the EPT's tables, and the list of what the guest
// needs, found by walking the host's page tables.
#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <optional>

#include "hypervisor/arch/page.hpp"
#include "hypervisor/ept/table_pool.hpp"
#include "hypervisor/guest_memory/working_set.hpp"
#include "hypervisor/vmx/failure.hpp"
#include "platform/host.hpp"
#include "stages/ept/guest.hpp"
#include "stages/ept/views.hpp"
#include "stages/shared/owned_pages.hpp"

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
    ept::Limits limits{};
    ept::WorkingSet needed{};
    std::optional<ept::TablePool> pool{};
    std::optional<Views> views{};
};

/// Takes it: all memory is taken before VMX operation begins, the pages of the EPT's tables too.
/// Finds all pages that the guest needs, in the order in which `touch_everything` comes to use
/// them; after them what an exception or an NMI would need: GDT, IDT, TSS.
///
/// Where    PASSIVE_LEVEL, in the address space of the guest to be
[[nodiscard]] std::expected<stages::OwnedPages<Memory>, vmx::Failure> take_memory(
    const platform::AtPassiveLevel& passive, const ept::Limits& limits);

/// The next guest's EPT, in place of the last one's.
///
/// Needs    no processor runs a guest on the last one
[[nodiscard]] std::expected<void, vmx::Failure> create_views(Memory& memory, InitialMap initial_map,
                                                             std::uint32_t processor);

}  // namespace hvp::ept_stage
