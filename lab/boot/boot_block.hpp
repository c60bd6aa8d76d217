// The boot block: what the tool passes to the firmware and the kernel, in one page of RAM that it
// fills before the machine starts.
//
// The emulator places one image into RAM at `boot_block_address`: this block, then the kernel as
// its sections lie in memory, then the driver's file as it is on disk. The reset ROM
// (lab/firmware/rom.asm) reads the first fields by their offsets; the kernel reads the rest.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace hvp::lab {

/// How the machine's firmware leaves IA32_FEATURE_CONTROL.
/// [SDM 3C 23.7 "Enabling and Entering VMX Operation"]
enum class FirmwareVmx : std::uint32_t { locked_on = 0, locked_off = 1, unlocked = 2 };

inline constexpr std::uint64_t boot_block_address = 0x20'0000;
inline constexpr std::uint64_t boot_block_magic = 0x3130'4241'4C50'5648;  // "HVPLAB01"

/// The kernel's image lies on a 2 MiB boundary, so that the ROM can map it with large pages.
inline constexpr std::uint64_t kernel_physical_address = 0x40'0000;

/// The seed chooses the processor on which the driver starts.
inline constexpr std::uint32_t any_processor = 0xFFFF'FFFF;

struct BootBlock {
    std::uint64_t magic;
    std::uint64_t image_end;        ///< physical; first byte after everything that was placed
    std::uint64_t kernel_physical;  ///< multiple of 2 MiB
    std::uint64_t kernel_virtual;   ///< the base that the kernel is linked to; multiple of 2 MiB
    std::uint64_t kernel_bytes;     ///< its size in memory, whole pages
    std::uint64_t kernel_entry;     ///< virtual address; entered with RCX = boot_block_address
    FirmwareVmx firmware_vmx;
    std::uint32_t processors;       ///< how many the machine has
    std::uint64_t memory_bytes;     ///< RAM from address 0 on
    std::uint64_t driver_physical;  ///< the .sys file, byte for byte; 0: none
    std::uint64_t driver_bytes;
    std::uint64_t seed;  ///< for everything that the kernel chooses "at random"
    std::uint64_t
        timeout_ticks;  ///< the machine stops after so many executed instructions; 0: never
    std::uint64_t fail_allocation;  ///< the n-th allocation of the driver fails; 0: none does
    std::uint32_t loads;            ///< how many times to load and unload the driver, at least 1
    std::uint32_t odd_state;        ///< 1: unusual DR7, FS base, SYSENTER, DEBUGCTL, RFLAGS.AC
    std::uint32_t start_processor;  ///< where DriverEntry starts; any_processor: the seed chooses
    std::array<char, 64> driver_name;  ///< the file's name without ".sys", ends with NUL
};

static_assert(offsetof(BootBlock, image_end) == 0x08, "rom.asm reads it");
static_assert(offsetof(BootBlock, kernel_physical) == 0x10, "rom.asm reads it");
static_assert(offsetof(BootBlock, kernel_virtual) == 0x18, "rom.asm reads it");
static_assert(offsetof(BootBlock, kernel_bytes) == 0x20, "rom.asm reads it");
static_assert(offsetof(BootBlock, kernel_entry) == 0x28, "rom.asm reads it");
static_assert(offsetof(BootBlock, firmware_vmx) == 0x30, "rom.asm reads it");
static_assert(offsetof(BootBlock, processors) == 0x34, "rom.asm reads it");
static_assert(sizeof(BootBlock) <= 0x1000, "one page");

}  // namespace hvp::lab
