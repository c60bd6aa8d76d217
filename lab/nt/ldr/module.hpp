// The images that run in the kernel's half: the kernel itself, and the driver.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "lab/nt/ldr/pe.hpp"
#include "lab/nt/rtl/unwind.hpp"

namespace hvp::lab::ldr {

/// An image in memory.
struct Module {
    std::string_view file{};
    std::uint64_t base{};
    pe::Headers headers{};
    bool loaded{};

    [[nodiscard]] bool holds(std::uint64_t address) const {
        return headers.image_bytes != 0 && address - base < headers.image_bytes;
    }
    [[nodiscard]] pe::Bytes memory() const;
    [[nodiscard]] rtl::ImageView view() const { return {&headers, memory(), base}; }
};

/// The kernel; its headers are read from its own image.
[[nodiscard]] Module& kernel_module();

/// The driver that was loaded last, also after its unload (`loaded` is false then).
[[nodiscard]] Module& driver_module();

/// The image that lies at the address now.
[[nodiscard]] const Module* module_at(std::uint64_t address);

}  // namespace hvp::lab::ldr
