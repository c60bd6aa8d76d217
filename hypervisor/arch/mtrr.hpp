// Memory type range registers: how the processor caches each physical address, as set by firmware.
//
// Eleven registers of fixed ranges divide the first megabyte into 88 ranges; pairs of base and mask
// define ranges anywhere, which may overlap; all other addresses have the default type. With EPT
// the processor does not use them for the guest: their types must be written into the EPT's
// entries, so the VMM has to compute them as exactly as the processor does.
// [SDM 3A 11.11 "Memory Type Range Registers (MTRRs)"],
// [SDM 3C 28.2.6.2 "Memory Type Used for Translated Guest-Physical Addresses"]
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
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

/// More pairs have no room between the first, 200H, and the fixed ranges from 250H on.
inline constexpr std::size_t most_variable_mtrrs = 40;

/// Registers of fixed ranges with consecutive numbers and consecutive addresses.
struct FixedMtrrs {
    Msr first;
    std::uint32_t registers;  ///< each with eight ranges
    std::uint64_t start;
    std::uint64_t bytes_of_range;
};

/// [SDM 3A 11.11.2.2 "Fixed Range MTRRs", Table 11-9]
inline constexpr auto fixed_mtrrs = std::to_array<FixedMtrrs>({
    {Msr::mtrr_fix64k_00000, 1, 0x0'0000, 0x1'0000},
    {Msr::mtrr_fix16k_80000, 2, 0x8'0000, 0x4000},
    {Msr::mtrr_fix4k_c0000, 8, 0xC'0000, 0x1000},
});

/// Whether some processor has a writable MTRR with this number: the default type, a base or a mask,
/// or a register of fixed ranges.
[[nodiscard]] constexpr bool is_mtrr(Msr msr) {
    const auto number = static_cast<std::uint32_t>(msr);
    const auto is_one_of = [number](Msr first, std::size_t registers) {
        return number - static_cast<std::uint32_t>(first) < registers;
    };
    for (const FixedMtrrs& fixed : fixed_mtrrs) {
        if (is_one_of(fixed.first, fixed.registers)) {
            return true;
        }
    }
    return msr == Msr::mtrr_def_type || is_one_of(Msr::mtrr_physbase0, 2 * most_variable_mtrrs);
}

/// A snapshot of the MTRRs of one processor. A processor without MTRRs has none enabled.
struct MtrrSnapshot {
    MtrrCapabilities capabilities{};
    MtrrDefaultType default_type{};
    std::array<std::uint64_t, 11> fixed{};  ///< in the order of their addresses
    std::array<VariableMtrr, most_variable_mtrrs> variable{};
    /// Where the memory of system management mode lies, if the processor says so. Outside that mode
    /// it is uncacheable, whatever the MTRRs say.
    /// [SDM 3A 11.11.2.4 "System-Management Range Register Interface"]
    VariableMtrr smrr{};

    [[nodiscard]] std::span<const VariableMtrr> variable_ranges() const {
        const std::size_t count = capabilities.variable_count;
        return {variable.data(), count < most_variable_mtrrs ? count : most_variable_mtrrs};
    }
};

/// The MTRRs of this processor. All processors shall have the same ones.
///
/// Where    CPL 0
/// Source   [SDM 3A 11.11.8 "MTRR Considerations in MP Systems"]
[[nodiscard]] MtrrSnapshot read_mtrrs();

/// How many bits an address in an MTRR has: MAXPHYADDR, but for the uppermost bits that name a key
/// where memory is encrypted with several. There they are reserved, and WRMSR raises #GP.
///
/// Where    CPL 0
[[nodiscard]] std::uint32_t mtrr_address_bits();

/// How an access to this address is cached, as far as the MTRRs decide.
///
/// While they are disabled everything is uncacheable. Fixed ranges have priority over variable
/// ones, and these over the default type. Of several variable ranges uncacheable wins, and
/// write-through wins over write-back; for all other overlaps, and for a reserved type, the SDM
/// defines nothing, and we take uncacheable, which is slow and never wrong.
/// Source   [SDM 3A 11.11.4.1 "MTRR Precedences"]
[[nodiscard]] MemoryType mtrr_type_of(const MtrrSnapshot& mtrrs, HostPhysicalAddress address);

/// Consecutive addresses that all have one type.
struct UniformRange {
    HostPhysicalAddress start{0};
    HostPhysicalAddress end{0};  ///< the first address after it
    MemoryType type{};
};

/// The range of one type that begins at `start`; it ends where the type changes, or at `limit`.
///
/// It is computed from the addresses where some range register begins or ceases to match, at most
/// `most_steps` of them. Masks with holes, which the SDM permits, can match millions of ranges; if
/// so many of them do not change the type, the range ends early, and the next one may have the same
/// type.
/// Needs    `start` a multiple of 4 KBytes, below `limit`
/// Source   [SDM 3A 11.11.2.3 "Variable Range MTRRs"]
[[nodiscard]] UniformRange next_uniform(const MtrrSnapshot& mtrrs, HostPhysicalAddress start,
                                        HostPhysicalAddress limit);
inline constexpr std::uint32_t most_steps = 1024;

/// An MTRR of a snapshot.
///
/// Returns  nothing where the processor of the snapshot has no such register
[[nodiscard]] std::optional<std::uint64_t> mtrr_of(const MtrrSnapshot& mtrrs, Msr msr);
/// Needs    a value for which `valid_mtrr_write` holds
void set_mtrr(MtrrSnapshot& mtrrs, Msr msr, std::uint64_t value);

/// Whether WRMSR of this value succeeds; else it raises #GP: a reserved bit is set, a type is a
/// reserved one or one that the processor lacks, or there is no such register.
///
/// Needs    `physical_address_bits` without those that name a key: see `mtrr_address_bits`
/// Source   [SDM 3A 11.11.2.1 "IA32_MTRR_DEF_TYPE MSR"], [SDM 3A 11.11.2.3 "Variable Range MTRRs"]
[[nodiscard]] bool valid_mtrr_write(Msr msr, std::uint64_t value, MtrrCapabilities capabilities,
                                    std::uint32_t physical_address_bits);

}  // namespace hvp::arch
