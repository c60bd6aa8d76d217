#include "lab/machine/ram_image.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

namespace hvp::lab {
namespace {

constexpr std::uint64_t page_bytes = 4096;
constexpr std::uint64_t mib = 1 << 20;
// The kernel needs memory after the image for itself, its page tables and its pool.
constexpr std::uint64_t room_for_the_kernel = 24 * mib;

constexpr std::uint64_t whole_pages(std::uint64_t bytes) {
    return (bytes + page_bytes - 1) / page_bytes * page_bytes;
}

void place(std::vector<std::byte>& image, std::uint64_t physical,
           std::span<const std::byte> bytes) {
    std::ranges::copy(bytes,
                      image.begin() + static_cast<std::ptrdiff_t>(physical - boot_block_address));
}

}  // namespace

std::expected<std::vector<std::byte>, std::string> ram_image(const LabSettings& settings,
                                                             const KernelInMemory& kernel,
                                                             std::span<const std::byte> driver) {
    const std::uint64_t memory_bytes = settings.memory_mib * mib;
    const std::uint64_t driver_physical =
        kernel_physical_address + whole_pages(kernel.bytes.size());
    const std::uint64_t image_end = driver_physical + whole_pages(driver.size());
    if (image_end + room_for_the_kernel > memory_bytes) {
        return std::unexpected{fmt::format(
            "the driver has {} bytes, too many for a machine with {} MiB; give it more by --memory",
            driver.size(), settings.memory_mib)};
    }
    BootBlock block{
        .magic = boot_block_magic,
        .image_end = image_end,
        .kernel_physical = kernel_physical_address,
        .kernel_virtual = kernel.virtual_base,
        .kernel_bytes = whole_pages(kernel.bytes.size()),
        .kernel_entry = kernel.entry,
        .firmware_vmx = settings.firmware_vmx,
        .processors = settings.processors,
        .memory_bytes = memory_bytes,
        .driver_physical = driver.empty() ? 0 : driver_physical,
        .driver_bytes = driver.size(),
        .seed = settings.seed,
        .timeout_ticks = settings.timeout_ticks,
        .fail_allocation = settings.fail_allocation,
        .loads = settings.loads,
        .odd_state = settings.odd_state ? 1U : 0U,
        .start_processor = settings.start_processor,
        .driver_name = {},
    };
    settings.driver_name.copy(block.driver_name.data(), block.driver_name.size() - 1);

    std::vector<std::byte> image(image_end - boot_block_address);
    place(image, boot_block_address, std::as_bytes(std::span{&block, 1}));
    place(image, kernel_physical_address, kernel.bytes);
    place(image, driver_physical, driver);
    return image;
}

}  // namespace hvp::lab
