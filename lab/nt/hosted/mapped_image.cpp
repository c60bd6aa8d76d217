// Lays out a PE image for the tool, by the loader's own code.
#include "lab/nt/hosted/mapped_image.hpp"

#include "lab/nt/ldr/pe.hpp"

namespace hvp::lab::pe {

std::expected<MappedImage, std::string> layout(std::span<const std::byte> file) {
    const auto headers = parse(file);
    if (!headers) {
        return std::unexpected{std::string{headers.error().view()}};
    }
    MappedImage image{.bytes = std::vector<std::byte>(headers->image_bytes),
                      .base = headers->image_base,
                      .entry = headers->image_base + headers->entry_point};
    lay_out(*headers, image.bytes);
    return image;
}

}  // namespace hvp::lab::pe
