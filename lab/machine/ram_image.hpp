// The one image that the emulator places into RAM: boot block, kernel, driver.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lab/boot/boot_block.hpp"

namespace hvp::lab {

/// A kernel as its sections lie in memory.
struct KernelInMemory {
    std::span<const std::byte> bytes;
    std::uint64_t virtual_base = 0;
    std::uint64_t entry = 0;  ///< a virtual address
};

/// The settings of a run; the rest of the boot block follows from the layout.
struct LabSettings {
    FirmwareVmx firmware_vmx = FirmwareVmx::locked_on;
    unsigned processors = 1;
    unsigned memory_mib = 512;
    std::uint64_t seed = 0;
    std::uint64_t timeout_ticks = 0;
    std::uint64_t fail_allocation = 0;
    std::uint32_t loads = 1;
    bool odd_state = false;
    std::uint32_t start_processor = any_processor;
    std::string_view driver_name;  ///< the file's name without ".sys"
};

/// Lays out the image; its first byte is placed at `boot_block_address`.
///
/// Returns  the image, or a sentence when the parts do not fit into the machine's memory.
[[nodiscard]] std::expected<std::vector<std::byte>, std::string> ram_image(
    const LabSettings& settings, const KernelInMemory& kernel, std::span<const std::byte> driver);

}  // namespace hvp::lab
