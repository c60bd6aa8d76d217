// Memory type range registers: how the processor caches each physical address, as firmware said.
//
// Eleven registers of fixed ranges cut the first megabyte into 88 pieces; pairs of base and mask
// name ranges anywhere, which may overlap; what none of them names has the default type. Under EPT
// they are not asked: what they say must be written into the EPT's entries, so the VMM has to know
// them as exactly as the processor does.
// [SDM 3A 11.11 "Memory Type Range Registers (MTRRs)"],
// [SDM 3C 28.2.6.2 "Memory Type Used for Translated Guest-Physical Addresses"]
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "hypervisor/arch/address.hpp"
#include "hypervisor/arch/memory_type.hpp"
#include "hypervisor/arch/msr.hpp"

namespace hvp::arch {

/// IA32_MTRRCAP.  [SDM 3A 11.11.1 "MTRR Feature Identification"]
struct MtrrCapabilities {
    std::uint64_t variable_count : 8 {};
    std::uint64_t fixed_ranges : 1 {};
    std::uint64_t reserved_9 : 1 {};
    std::uint64_t write_combining : 1 {};
    std::uint64_t smrr : 1 {};
    std::uint64_t reserved_63_12 : 52 {};
};
static_assert(sizeof(MtrrCapabilities) == sizeof(std::uint64_t));

/// IA32_MTRR_DEF_TYPE.  [SDM 3A 11.11.2.1 "IA32_MTRR_DEF_TYPE MSR"]
struct MtrrDefaultType {
    std::uint64_t type : 8 {};
    std::uint64_t reserved_9_8 : 2 {};
    std::uint64_t fixed_enabled : 1 {};
    std::uint64_t enabled : 1 {};
    std::uint64_t reserved_63_12 : 52 {};
};
static_assert(sizeof(MtrrDefaultType) == sizeof(std::uint64_t));

/// IA32_MTRR_PHYSBASEn and IA32_MTRR_PHYSMASKn.  [SDM 3A 11.11.2.3 "Variable Range MTRRs"]
struct VariableMtrr {
    std::uint64_t base{};  ///< bits 7:0 are the type
    std::uint64_t mask{};  ///< bit 11: valid
};

/// All of them at one moment. A processor without MTRRs has none enabled.
struct MtrrSnapshot {
    /// More pairs have no place between the first, 200H, and the fixed ranges from 250H on.
    static constexpr std::size_t most_variable = 40;

    MtrrCapabilities capabilities{};
    MtrrDefaultType default_type{};
    std::array<std::uint64_t, 11> fixed{};  ///< in the order of their addresses
    std::array<VariableMtrr, most_variable> variable{};

    [[nodiscard]] std::span<const VariableMtrr> variable_ranges() const {
        const std::size_t count = capabilities.variable_count;
        return {variable.data(), count < most_variable ? count : most_variable};
    }
};

/// The MTRRs of this processor. All processors shall have the same ones.
///
/// Where    CPL 0
/// Source   [SDM 3A 11.11.8 "MTRR Considerations in MP Systems"]
[[nodiscard]] MtrrSnapshot read_mtrrs();

/// How an access to this address is cached, as far as the MTRRs decide.
///
/// While they are disabled everything is uncacheable. Fixed ranges come before variable ones, these
/// before the default. Of several variable ranges uncacheable wins, and write-through wins over
/// write-back; for all other overlaps the SDM defines nothing, and we take uncacheable, which is
/// slow and never wrong. So is a reserved type, which can only stand there since reset.
/// Source   [SDM 3A 11.11.4.1 "MTRR Precedences"]
[[nodiscard]] MemoryType mtrr_type_of(const MtrrSnapshot& mtrrs, HostPhysicalAddress address);

/// Addresses in a row that all have one type.
struct UniformRange {
    HostPhysicalAddress start{0};
    HostPhysicalAddress end{0};  ///< the first address behind it
    MemoryType type{};
};

/// The range of one type that begins at `start`; it ends where the type changes, or at `limit`.
///
/// It is computed from the places where some range register begins or ceases to match, at most
/// `most_steps` of them. Masks with holes, which the SDM permits, can match millions of ranges; if
/// so many of them change nothing, the range ends early: what it says is true, but the next one may
/// have the same type.
/// Needs    `start` a multiple of 4 KBytes, below `limit`
/// Source   [SDM 3A 11.11.2.3 "Variable Range MTRRs"]
[[nodiscard]] UniformRange next_uniform(const MtrrSnapshot& mtrrs, HostPhysicalAddress start,
                                        HostPhysicalAddress limit);
inline constexpr std::uint32_t most_steps = 1024;

/// Whether the number is one of this processor's MTRRs that can be written.
[[nodiscard]] bool is_mtrr(Msr msr, MtrrCapabilities capabilities);

/// Whether WRMSR of this value succeeds; else it raises #GP: a reserved bit is set, a type is a
/// reserved one or one that the processor lacks, or there is no such register.
///
/// Source   [SDM 3A 11.11.2.1 "IA32_MTRR_DEF_TYPE MSR"], [SDM 3A 11.11.2.3 "Variable Range MTRRs"]
[[nodiscard]] bool valid_mtrr_write(Msr msr, std::uint64_t value, MtrrCapabilities capabilities,
                                    std::uint32_t physical_address_bits);

}  // namespace hvp::arch
