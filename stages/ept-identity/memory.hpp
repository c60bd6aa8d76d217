// The memory of this stage: what the guest has, and what only the VMM has.
#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <optional>
#include <span>

#include "hypervisor/arch/page.hpp"
#include "hypervisor/hooks/processor_view.hpp"
#include "hypervisor/vcpu/host_environment.hpp"
#include "hypervisor/vmx/failure.hpp"
#include "platform/host.hpp"
#include "stages/ept-identity/guest.hpp"
#include "stages/ept-identity/machine.hpp"
#include "stages/shared/owned_pages.hpp"

namespace hvp::identity_stage {

/// Targets lie in one stretch of 2 MBytes.
inline constexpr std::size_t stretches = 1;

/// For what is cut out of the identity's pages: what is hidden, what is watched, what an MTRR
/// cuts. Each takes two tables at most, but for a hidden range that crosses from one large page
/// into the next.
inline constexpr std::size_t spare_tables = 32;

/// What only the VMM has, but for the EPT's tables, which lie after it: how many they are, the
/// MTRRs say.
struct VmmPages {
    arch::Page decoy{};  ///< what the guest finds in place of all this
    std::array<std::uint64_t, words_of_page> write_log{};
    ept::StepFrames frames{};
    std::optional<Machine> machine{};
};

/// All of it, with an owner.
class StageMemory {
public:
    /// Needs    `identity_tables`: as many as the identity takes
    [[nodiscard]] static std::expected<StageMemory, vmx::Failure> take(
        const platform::AtPassiveLevel& passive, const ept::Limits& limits,
        std::size_t identity_tables);
    StageMemory(StageMemory&&) = default;
    StageMemory& operator=(StageMemory&&) = delete;

    [[nodiscard]] VmmPages& vmm() const { return *vmm_; }
    [[nodiscard]] const ept::Limits& limits() const { return limits_; }
    /// For the EPT's tables.
    [[nodiscard]] ept::TableMemory tables() const;
    [[nodiscard]] std::size_t identity_tables() const { return identity_tables_; }
    [[nodiscard]] GuestData& guest() const { return *guest_; }
    /// The first of the pages that are watched; its 2 MBytes are the guest's alone.
    [[nodiscard]] std::byte* watched() const { return watched_; }

    /// For the VMM's page tables, and to hide.
    [[nodiscard]] arch::MappedRange vmm_range() const { return vmm_.range(); }
    [[nodiscard]] arch::HostPhysicalAddress physical_of(const void* object) const {
        return vmm_.physical_of(object);
    }

private:
    StageMemory(stages::OwnedPages<VmmPages> vmm, platform::PageRun guest_run,
                const ept::Limits& limits, std::size_t identity_tables);

    stages::OwnedPages<VmmPages> vmm_;
    platform::PageRun guest_run_;
    ept::Limits limits_;
    std::size_t identity_tables_;
    std::byte* watched_;
    GuestData* guest_;
};

}  // namespace hvp::identity_stage
