// What this processor can do with EPT, by its capability MSR.
#pragma once

#include <array>
#include <cstdint>

namespace hvp::ept {

/// IA32_VMX_EPT_VPID_CAP.  [SDM 3D A.10 "VPID and EPT Capabilities"]
///
/// Every bit has its name, the reserved ones too: with one too few, all after it would be read from
/// their neighbour's place, and a VMM would use INVEPT types that the processor lacks.
struct Capability {
    std::uint64_t execute_only : 1 {};
    std::uint64_t reserved_5_1 : 5 {};
    std::uint64_t walk_length_4 : 1 {};
    std::uint64_t reserved_7 : 1 {};
    std::uint64_t tables_uncacheable : 1 {};
    std::uint64_t reserved_13_9 : 5 {};
    std::uint64_t tables_write_back : 1 {};
    std::uint64_t reserved_15 : 1 {};
    std::uint64_t pages_2_mb : 1 {};
    std::uint64_t pages_1_gb : 1 {};
    std::uint64_t reserved_19_18 : 2 {};
    std::uint64_t invept : 1 {};
    std::uint64_t accessed_and_dirty : 1 {};
    std::uint64_t advanced_violation_information : 1 {};
    std::uint64_t supervisor_shadow_stack : 1 {};
    std::uint64_t reserved_24 : 1 {};
    std::uint64_t invept_single_context : 1 {};
    std::uint64_t invept_all_contexts : 1 {};
    std::uint64_t reserved_31_27 : 5 {};
    std::uint64_t invvpid : 1 {};
    std::uint64_t reserved_39_33 : 7 {};
    std::uint64_t invvpid_individual_address : 1 {};
    std::uint64_t invvpid_single_context : 1 {};
    std::uint64_t invvpid_all_contexts : 1 {};
    std::uint64_t invvpid_single_context_but_globals : 1 {};
    std::uint64_t reserved_63_44 : 20 {};
};
static_assert(sizeof(Capability) == sizeof(std::uint64_t));

/// Something that each of our EPTs needs, with the bit of the MSR that reports it.
struct Requirement {
    std::uint32_t bit;
    const char* remedy;
};

inline constexpr auto requirements = std::to_array<Requirement>({
    {6, "this processor's EPT has no page walks of length 4"},
    {14, "this processor cannot keep EPT paging structures in write-back memory"},
    {20, "this processor has EPT without INVEPT: no entry could be changed safely"},
    {25, "this processor's INVEPT has no single-context type"},
});

/// The first requirement that `msr`, the value of IA32_VMX_EPT_VPID_CAP, does not meet; null: all
/// are met.
[[nodiscard]] constexpr const Requirement* missing_requirement(std::uint64_t msr) {
    for (const Requirement& one : requirements) {
        if ((msr >> one.bit & 1) == 0) {
            return &one;
        }
    }
    return nullptr;
}

}  // namespace hvp::ept
