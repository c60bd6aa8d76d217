// Where the functions of a driver begin: its own unwind data knows, and the symbolizer does not
// say.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <vector>

namespace hvp::tool {

class ImageFunctions {
public:
    /// An image that cannot be read has no functions.
    explicit ImageFunctions(const std::filesystem::path& image);

    /// Returns  where the function begins that holds this address, both counted from the image's
    ///          start; nothing for a leaf function, which has no unwind data
    [[nodiscard]] std::optional<std::uint64_t> start_of(std::uint64_t address) const;

private:
    std::vector<std::byte> file_;
    std::vector<std::byte> memory_;
};

}  // namespace hvp::tool
