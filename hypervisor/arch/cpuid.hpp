// What CPUID reports about the processor: the bits and leaves that we use.
#pragma once

#include <cstdint>

#include "hypervisor/arch/instructions.hpp"

namespace hvp::arch {

inline constexpr std::uint64_t cpuid_1_ecx_vmx =
    1U << 5;  ///< [SDM 3C 23.6 "Discovering Support for VMX"]
inline constexpr std::uint64_t cpuid_1_ecx_xsave = 1U << 26;
inline constexpr std::uint64_t cpuid_1_ecx_osxsave = 1U << 27;  ///< mirrors CR4.OSXSAVE
inline constexpr std::uint64_t cpuid_1_ecx_hypervisor = 1U << 31;
inline constexpr std::uint64_t cpuid_1_edx_mtrr = 1U << 12;
inline constexpr std::uint64_t cpuid_1_edx_debug_store = 1U << 21;
inline constexpr std::uint64_t cpuid_7_ecx_ospke = 1U << 4;  ///< mirrors CR4.PKE

/// MAXPHYADDR: how many bits a physical address has.
///
/// Source   [SDM 3A 4.1.4 "Enumeration of Paging Features by CPUID"]
[[nodiscard]] inline std::uint32_t physical_address_bits() {
    constexpr std::uint32_t address_sizes = 0x8000'0008;
    return cpuid(address_sizes).eax & 0xFF;
}

}  // namespace hvp::arch
