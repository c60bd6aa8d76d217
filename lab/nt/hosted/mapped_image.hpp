// For the tool: a PE image as its sections lie in memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <span>
#include <string>
#include <vector>

namespace hvp::lab::pe {

/// An image that is laid out but not relocated: it runs at `base`.
struct MappedImage {
    std::vector<std::byte> bytes;  ///< whole pages
    std::uint64_t base{};
    std::uint64_t entry{};  ///< virtual address
};

/// Lays out the image; or one sentence that says why it is none.
[[nodiscard]] std::expected<MappedImage, std::string> layout(std::span<const std::byte> file);

}  // namespace hvp::lab::pe
