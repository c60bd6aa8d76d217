// Names for addresses in the machine: module and offset always, function and line when asked.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace hvp::tool {

/// Reads the symbolizer's answer: a block of lines for each address, function and place in turn,
/// the innermost of inlined functions first.
///
/// Returns  for each block `function, file:line`; an empty string where it knew nothing.
[[nodiscard]] std::vector<std::string> read_symbols(std::string_view answer);

class AddressNames {
public:
    struct Image {
        std::string name;  ///< launch.sys
        std::uint64_t base = 0;
        std::uint64_t bytes = 0;
        std::filesystem::path file;  ///< on the host; its PDB lies beside it
    };

    void add(Image image) { images_.push_back(std::move(image)); }

    /// Returns  `launch.sys+0x1234`, or the plain number when it lies in no image.
    [[nodiscard]] std::string module_and_offset(std::uint64_t address) const;

    /// Looks addresses up in the images' PDBs. Starts a program for each image, so ask for all at
    /// once.
    void find_symbols(std::span<const std::uint64_t> addresses);

    /// Returns  module and offset and, when they were looked up and found, function and line.
    [[nodiscard]] std::string in_full(std::uint64_t address) const;

private:
    [[nodiscard]] const Image* image_of(std::uint64_t address) const;

    std::vector<Image> images_;
    std::map<std::uint64_t, std::string> symbols_;
};

}  // namespace hvp::tool
