// Names for addresses in the machine: module and offset always, function and line when asked.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace hvp::tool {

struct SourcePlace {
    std::string function;
    std::string file_and_line;  ///< may be empty
};

/// Looks an offset up in a PE image by its PDB, which has to lie beside it.
[[nodiscard]] std::optional<SourcePlace> look_up(const std::filesystem::path& image,
                                                 std::uint64_t offset);

class AddressNames {
public:
    struct Image {
        std::string name;            ///< launch.sys
        std::uint64_t base = 0;
        std::uint64_t bytes = 0;
        std::filesystem::path file;  ///< on the host
    };

    void add(Image image) { images_.push_back(std::move(image)); }

    /// Returns  `launch.sys+0x1234`, or the plain number when it lies in no image.
    [[nodiscard]] std::string module_and_offset(std::uint64_t address) const;
    /// Returns  the same and, where symbols are found, ` function, file:line`. Starts a program.
    [[nodiscard]] std::string in_full(std::uint64_t address) const;

private:
    [[nodiscard]] const Image* image_of(std::uint64_t address) const;

    std::vector<Image> images_;
};

}  // namespace hvp::tool
