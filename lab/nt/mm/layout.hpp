// The layout of the kernel's half of the address space. The regions' addresses are those of Windows
// before it randomised them: fixed addresses make a run repeatable, and old tools expect them.
#pragma once

#include <cstdint>

#include "hypervisor/arch/address.hpp"

namespace hvp::lab::mm {

using LinearAddress = arch::HostLinearAddress;
using PhysicalAddress = arch::HostPhysicalAddress;
using arch::page_bytes;

/// Slot 1EDh of the PML4 points to the PML4 itself: the page tables appear as an array here.
inline constexpr std::uint64_t self_map_slot = 0x1ED;
inline constexpr LinearAddress page_tables{0xFFFF'F680'0000'0000};

/// [Windows: KUSER_SHARED_DATA structure] The address is documented and the same everywhere.
inline constexpr LinearAddress shared_user_data{0xFFFF'F780'0000'0000};

// The emulator's TLB is direct-mapped, indexed by bits 22:12 of the address. So each region begins
// at different ones: otherwise a machine of eight processors spends a third of its time on page
// walks.
inline constexpr LinearAddress driver_images{0xFFFF'F801'0000'0000};
inline constexpr LinearAddress stacks{0xFFFF'F880'0020'0000};
inline constexpr LinearAddress driver_file{0xFFFF'F8A0'0000'0000};
inline constexpr LinearAddress processor_blocks{0xFFFF'F8B0'0010'0000};
inline constexpr LinearAddress pool_pages{0xFFFF'FA80'0030'0000};
inline constexpr LinearAddress pool_records{0xFFFF'FAC0'0060'0000};
inline constexpr LinearAddress contiguous_pages{0xFFFF'FB00'0050'0000};
inline constexpr LinearAddress contiguous_records{0xFFFF'FB40'0070'0000};
inline constexpr LinearAddress mapping_pages{0xFFFF'FB80'0000'0000};
inline constexpr LinearAddress mapping_records{0xFFFF'FBC0'0000'0000};
inline constexpr LinearAddress local_apic{0xFFFF'FFFF'FFFE'0000};

/// RAM above this address is not used: devices may lie there.
inline constexpr std::uint64_t usable_memory_end = 0xC000'0000;

/// Below 1 MiB: RAM from the end of the firmware's page tables and the start-up page up to video
/// memory. After that comes firmware, and RAM continues at 1 MiB.
inline constexpr std::uint64_t low_memory_start = 0xA000;
inline constexpr std::uint64_t low_memory_end = 0xA'0000;
inline constexpr std::uint64_t high_memory_start = 0x10'0000;

using arch::page_of;
using arch::pages_for;

/// Whether bits 63:47 are all equal.  [SDM 3A 4.5 "4-Level Paging and 5-Level Paging"]
[[nodiscard]] constexpr bool is_canonical(LinearAddress address) {
    const std::uint64_t upper = address.raw() >> 47;
    return upper == 0 || upper == 0x1'FFFF;
}

/// Whether the address belongs to the kernel's half.
[[nodiscard]] constexpr bool is_system(LinearAddress address) {
    return address.raw() >> 47 == 0x1'FFFF;
}

}  // namespace hvp::lab::mm
